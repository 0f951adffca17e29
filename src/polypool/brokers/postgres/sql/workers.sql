-- The workers and how much each holds.
-- Tables: worker, live. $1 now. Result: rows of heartbeat, seen at, is alive, holds.
SELECT heartbeat, seen_at, NOT is_dead AND lease_until > $1::float8,
       (SELECT count(*) FROM polypool.live WHERE state = 'running' AND live.worker = worker.id)
FROM polypool.worker ORDER BY name
