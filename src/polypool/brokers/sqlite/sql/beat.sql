-- Renew a worker's lease, or make it known.
-- Tables: worker. :worker: its name, :run, :heartbeat, :lease_until, :now. The 3 is the schema that this release knows.
INSERT INTO worker (name, run, heartbeat, lease_until, seen_at, release)
VALUES (:worker, :run, :heartbeat, :lease_until, :now, 3)
ON CONFLICT (name) DO UPDATE
SET run = excluded.run, heartbeat = excluded.heartbeat, lease_until = excluded.lease_until,
    seen_at = excluded.seen_at, is_dead = 0, release = excluded.release
