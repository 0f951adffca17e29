-- Forget workers: one that leaves, and those dead for so long that nobody asks and that hold nothing.
-- Tables: worker, live. $1 a name or null, $2 a time.
DELETE FROM polypool.worker
WHERE name = $1
   OR (is_dead AND seen_at < $2::float8
       AND NOT EXISTS (SELECT FROM polypool.live WHERE state = 'running' AND live.worker = worker.id))
