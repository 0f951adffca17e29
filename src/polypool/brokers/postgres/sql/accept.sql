-- A part of other statements: what becomes of messages once they stand in `given` (id, task, lane, priority, due, body,
-- place), at a `moment` (now). Result: `told` (id, rung), the ids that were new; ringing for work is in looking at `rung`.
-- Tables: task, live.
added AS (
    INSERT INTO polypool.task (id, task, lane, priority, due, body)
    SELECT id, task, lane, priority, due, body FROM given
    ORDER BY place
    ON CONFLICT (id) DO NOTHING
    RETURNING seq, id, lane, priority, due
), waiting AS (
    INSERT INTO polypool.live (seq, lane, state, priority, due)
    SELECT seq, lane, CASE WHEN due > (SELECT now FROM moment) THEN 'scheduled' ELSE 'queued' END, priority, due FROM added
), told AS (
    SELECT id, (SELECT pg_notify('polypool:work', ''))::text AS rung FROM added
)
