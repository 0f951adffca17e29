-- A part of other statements: what endings mean to messages that wait, once it stands in `said` (id, kind, place, cause,
-- number in order), at a `moment` (now).
-- Result: `moved` (state), those that waited and were told.
-- Tables: task, live, mark, event. Each that waits is changed once, however many told it, and all are locked first, in the
-- order of seq, so that nobody who does the same can stand in another's way twice. Whoever comes second sees, once it has the
-- lock, what the first has marked, and what is not there in its snapshot yet it changes all the same (ON CONFLICT).
aimed AS (
    SELECT id, array_agg(place) FILTER (WHERE kind = 'mark') AS places,
           (array_agg(kind ORDER BY number) FILTER (WHERE kind <> 'mark'))[1] AS kind,
           (array_agg(cause ORDER BY number) FILTER (WHERE kind <> 'mark'))[1] AS cause
    FROM said GROUP BY id
), met AS MATERIALIZED (
    SELECT live.seq, live.waits, aimed.places, aimed.kind, aimed.cause
    FROM aimed
    JOIN polypool.task ON task.id = aimed.id
    JOIN polypool.live ON live.seq = task.seq
    WHERE live.state = 'waiting'
    ORDER BY live.seq
    FOR UPDATE OF live
), marked AS (
    INSERT INTO polypool.mark (seq, part, places, fresh)
    SELECT seq, place / 1024, bit_or(set_bit(0::bit(1024), place % 1024, 1)), count(DISTINCT place)
    FROM met CROSS JOIN LATERAL unnest(places) AS place
    WHERE kind IS NULL AND waits IS DISTINCT FROM 1
    GROUP BY seq, place / 1024
    ORDER BY seq, place / 1024
    ON CONFLICT (seq, part) DO UPDATE
    SET places = mark.places | excluded.places,
        fresh = length(replace((excluded.places & ~mark.places)::text, '0', ''))
    RETURNING seq, fresh
), change AS (
    SELECT seq, sum(fresh) AS fresh, NULL AS kind, NULL::bytea AS cause, NULL::integer AS sealed FROM marked GROUP BY seq
    UNION ALL SELECT seq, CASE WHEN kind IS NULL THEN 1 ELSE 0 END, kind, cause, NULL
    FROM met WHERE kind = 'break' OR (kind IS NULL AND waits = 1)
), /* release.sql */, dropped AS (
    DELETE FROM polypool.live USING met WHERE live.seq = met.seq AND met.kind = 'drop' RETURNING live.seq
), dropped_events AS (
    DELETE FROM polypool.event USING dropped WHERE event.seq = dropped.seq
), dropped_marks AS (
    DELETE FROM polypool.mark USING dropped WHERE mark.seq = dropped.seq
), dropped_tasks AS (
    DELETE FROM polypool.task USING dropped WHERE task.seq = dropped.seq
)
