-- A part of other statements: what endings mean to messages that wait, once it stands in `said` (id, kind, place, cause,
-- number in order), at a `moment` (now). Of what is said after a break or a drop nothing counts.
-- Result: `moved` (state), those that waited and were told.
-- Tables: task, live, mark, event. Each that waits is changed once, however many told it, and all are locked first, in the
-- order of seq, so that nobody who does the same can stand in another's way twice. Whoever comes second sees, once it has the
-- lock, what the first has marked; and a row of marks that its snapshot lacks it changes all the same (ON CONFLICT).
aimed AS (
    SELECT id, array_agg(place) FILTER (WHERE kind = 'mark') AS places,
           array_agg(number) FILTER (WHERE kind = 'mark') AS numbers, min(number) FILTER (WHERE kind = 'mark') AS since,
           min(number) FILTER (WHERE kind <> 'mark') AS until,
           (array_agg(kind ORDER BY number) FILTER (WHERE kind <> 'mark'))[1] AS kind,
           (array_agg(cause ORDER BY number) FILTER (WHERE kind <> 'mark'))[1] AS cause
    FROM said GROUP BY id
), met AS MATERIALIZED (
    SELECT live.seq, live.waits, live.marked, aimed.*
    FROM aimed
    JOIN polypool.task ON task.id = aimed.id
    JOIN polypool.live ON live.seq = task.seq
    WHERE live.state = 'waiting'
    ORDER BY live.seq
    FOR UPDATE OF live
), marked AS (
    INSERT INTO polypool.mark (seq, part, places, fresh)
    SELECT seq, place / 1024, bit_or(set_bit(0::bit(1024), place % 1024, 1)), count(DISTINCT place)
    FROM met CROSS JOIN LATERAL unnest(places, numbers) AS one (place, number)
    WHERE waits IS DISTINCT FROM 1 AND (number > until) IS NOT TRUE
    GROUP BY seq, place / 1024
    ORDER BY seq, place / 1024
    ON CONFLICT (seq, part) DO UPDATE
    SET places = mark.places | excluded.places,
        fresh = length(replace((excluded.places & ~mark.places)::text, '0', ''))
    RETURNING seq, fresh
), change AS (
    SELECT seq, sum(fresh) AS fresh, NULL::integer AS sealed,
           CASE WHEN sum(fresh) + max(marked) >= max(waits) THEN 'ready' ELSE max(kind) END AS way,
           (array_agg(cause) FILTER (WHERE cause IS NOT NULL))[1] AS cause
    FROM (SELECT seq, fresh, NULL::integer, NULL::integer, NULL, NULL::bytea FROM marked
          UNION ALL
          SELECT seq, CASE WHEN waits = 1 AND since < coalesce(until, since + 1) THEN 1 ELSE 0 END, marked, waits, kind, cause
          FROM met) AS part (seq, fresh, marked, waits, kind, cause)
    GROUP BY seq
), /* release.sql */, dropped AS (
    DELETE FROM polypool.live USING change WHERE live.seq = change.seq AND way = 'drop' RETURNING live.seq
), dropped_events AS (
    DELETE FROM polypool.event USING dropped WHERE event.seq = dropped.seq
), dropped_marks AS (
    DELETE FROM polypool.mark USING dropped WHERE mark.seq = dropped.seq
), dropped_tasks AS (
    DELETE FROM polypool.task USING dropped WHERE task.seq = dropped.seq
)
