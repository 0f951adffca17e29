-- The workers and how much each holds.
-- Tables: worker, task. :now. Result: rows of heartbeat, seen at, is alive, holds.
SELECT heartbeat, seen_at, NOT is_dead AND lease_until > :now,
       (SELECT count(*) FROM task WHERE state = 'running' AND task.worker = worker.id)
FROM worker ORDER BY name
