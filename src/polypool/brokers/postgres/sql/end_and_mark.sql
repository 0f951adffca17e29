-- Write how runs ended, as end_and_signal.sql does, where all that this means to others is that places are marked.
-- Tables: live, ending, task, mark. $1 to $7 as in end.sql; who waits: $8 ids and, of each, where in $11 and $12 its
-- marks begin, $9, and end, $10: an array each; the marks: $11 the number of the run that each comes from, counted from 1 in
-- $1, $12 places: an array each; $13 now. Result: as of end.sql. Rings for work. One statement, as there.
WITH gone AS (
    DELETE FROM polypool.live
    USING unnest($1::bigint[], $2::bigint[], $3::text[], $4::float8[], $5::text[], $6::bytea[])
          WITH ORDINALITY AS given (seq, token, state, keep_until, reason, body, number)
    WHERE live.seq = given.seq AND live.token = given.token AND live.state || '' = 'running'
    RETURNING live.seq, live.token, given.state, given.keep_until, given.reason, given.body, given.number
), written AS (
    INSERT INTO polypool.ending (seq, state, token, keep_until, reason, body)
    SELECT seq, state, token, keep_until, reason, body FROM gone
), moment AS (
    SELECT $13::float8 AS now, NULL::bytea[] AS causes
), aimed AS (
    SELECT id, places, NULL::bigint[] AS numbers, 0 AS since, NULL::bigint AS until, NULL AS kind, NULL::integer AS cause
    FROM unnest($8::text[], $9::integer[], $10::integer[]) AS one (id, first, last)
    CROSS JOIN LATERAL (
        SELECT array_agg(place) AS places
        FROM unnest(($11::integer[])[first:last], ($12::integer[])[first:last]) AS mark (run, place)
        -- IS TRUE: so it is looked up in a table made once, and not row by row.
        WHERE (run IN (SELECT number FROM gone)) IS TRUE
    ) AS held
    WHERE places IS NOT NULL
), /* signal.sql */
SELECT seq, token, (SELECT count(pg_notify('polypool:results', told)) FROM unnest($7::text[]) AS told),
       (SELECT pg_notify('polypool:work', '') WHERE EXISTS (SELECT FROM moved WHERE state <> 'waiting'))
FROM gone
