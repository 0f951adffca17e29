-- A part of other statements: what is said to messages that may wait, in `said` (id, kind, place, cause: its number, number in
-- order), by message.
-- Result: `aimed` (id, places and numbers of the marks, since: number of the first of these, until: number of the first
-- break or drop, kind and cause of that one).
aimed AS (
    SELECT id COLLATE "C" AS id, array_agg(place) FILTER (WHERE kind = 'mark') AS places,
           array_agg(number) FILTER (WHERE kind = 'mark') AS numbers, min(number) FILTER (WHERE kind = 'mark') AS since,
           min(number) FILTER (WHERE kind <> 'mark') AS until,
           (array_agg(kind ORDER BY number) FILTER (WHERE kind <> 'mark'))[1] AS kind,
           (array_agg(cause ORDER BY number) FILTER (WHERE kind <> 'mark'))[1] AS cause
    FROM said GROUP BY id COLLATE "C"
)
