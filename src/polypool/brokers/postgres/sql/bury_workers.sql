-- Count workers whose lease has ended as dead: each is told so by its next beat. Nobody could beat while the server was
-- away, so a lease lasts until its whole length has passed since the server started.
-- Tables: worker. $1 now. Workers that somebody else is looking at are left to them. (Where the clocks disagree, so that
-- the server starts in the future, its start does not count.)
UPDATE polypool.worker SET is_dead = true
WHERE id IN (
    SELECT id FROM polypool.worker, (SELECT extract(epoch FROM pg_postmaster_start_time())::float8 AS started) AS server
    WHERE NOT is_dead AND lease_until <= $1::float8
      AND (started > $1::float8 OR started + lease_until - seen_at <= $1::float8)
    FOR UPDATE OF worker SKIP LOCKED)
