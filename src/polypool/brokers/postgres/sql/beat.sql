-- Renew a worker's lease, or make it known.
-- Tables: worker. $1 its name, $2 its run, $3 the heartbeat, $4 lease_until, $5 now.
INSERT INTO polypool.worker (name, run, heartbeat, lease_until, seen_at) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (name) DO UPDATE
SET run = excluded.run, heartbeat = excluded.heartbeat, lease_until = excluded.lease_until,
    seen_at = excluded.seen_at, is_dead = false
