-- A part of other statements: what endings mean to messages that wait, once it stands in `aimed` (see aim.sql), at a `moment`
-- (now, causes: whatever is why something is broken, each once). Of what is said after a break or a drop nothing counts.
-- Result: `moved` (state), those that waited and were told; `change` still has what drop.sql deletes.
-- Tables: task, live, mark. Each that waits is changed once, however many told it, and all are locked first, in the
-- order of seq, so that nobody who does the same can stand in another's way twice. Whoever comes second sees, once it has the
-- lock, what the first has marked; and a row of marks that its snapshot lacks it changes all the same (ON CONFLICT).
met AS MATERIALIZED (
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
        fresh = CASE WHEN excluded.places & mark.places = 0::bit(1024) THEN excluded.fresh
                     -- Counted by hand only where a place is marked again: bit_count came with PostgreSQL 14.
                     ELSE length(replace((excluded.places & ~mark.places)::text, '0', '')) END
    RETURNING seq, fresh
), change AS (
    SELECT seq, sum(fresh) AS fresh, NULL::integer AS sealed,
           CASE WHEN sum(fresh) + max(marked) >= max(waits) THEN 'ready' ELSE max(kind) END AS way,
           max(cause) AS cause
    FROM (SELECT seq, fresh, NULL::integer, NULL::integer, NULL, NULL::integer FROM marked
          UNION ALL
          SELECT seq, CASE WHEN waits = 1 AND since < coalesce(until, since + 1) THEN 1 ELSE 0 END, marked, waits, kind, cause
          FROM met) AS part (seq, fresh, marked, waits, kind, cause)
    GROUP BY seq
), /* release.sql */
