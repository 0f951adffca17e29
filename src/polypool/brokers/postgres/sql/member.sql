-- A worker as it was last seen, locked.
-- Tables: worker. $1 its name, $2 now. Result: its number, its run, whether its lease has ended (see bury_workers.sql).
SELECT id, run, is_dead OR (lease_until <= $2::float8 AND (started > $2::float8 OR started + lease_until - seen_at <= $2::float8))
FROM polypool.worker, (SELECT extract(epoch FROM pg_postmaster_start_time())::float8 AS started) AS server
WHERE name = $1 FOR UPDATE OF worker
