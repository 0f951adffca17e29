-- A part of other statements: what becomes of messages once they stand in `given` (id, task, lane, priority, due, body, waits,
-- place), at a `moment` (now). `waits`: of how many places, -1 where that is not known yet, null for who waits for nobody.
-- Result: `told` (id, rung), the ids that were new; ringing for work is in looking at `rung`.
-- Tables: task, live.
added AS (
    INSERT INTO polypool.task (id, task, lane, priority, due, body, waits)
    SELECT id, task, lane, priority, due, body, waits FROM given
    ORDER BY place
    ON CONFLICT (id) DO NOTHING
    RETURNING seq, id, lane, priority, due, waits
), waiting AS (
    INSERT INTO polypool.live (seq, lane, state, priority, due, waits, marked)
    SELECT seq, lane,
           CASE WHEN waits IS NOT NULL THEN 'waiting' WHEN due > (SELECT now FROM moment) THEN 'scheduled' ELSE 'queued' END,
           priority, due, nullif(waits, -1), CASE WHEN waits IS NOT NULL THEN 0 END
    FROM added
), told AS (
    SELECT id, (SELECT pg_notify('polypool:work', ''))::text AS rung FROM added
)
