-- The number of a lane, given out at its first use.
-- Tables: lane. $1 queue, $2 pool. Result: the number.
INSERT INTO polypool.lane (queue, pool) VALUES ($1, $2)
ON CONFLICT (queue, pool) DO UPDATE SET queue = excluded.queue
RETURNING id
