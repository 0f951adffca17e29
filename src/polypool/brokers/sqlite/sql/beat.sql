-- Renew a worker's lease, or make it known.
-- Tables: worker. :worker: its name, :run, :heartbeat, :lease_until, :now.
INSERT INTO worker (name, run, heartbeat, lease_until, seen_at)
VALUES (:worker, :run, :heartbeat, :lease_until, :now)
ON CONFLICT (name) DO UPDATE
SET run = excluded.run, heartbeat = excluded.heartbeat, lease_until = excluded.lease_until,
    seen_at = excluded.seen_at, is_dead = 0
