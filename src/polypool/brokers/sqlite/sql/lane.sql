-- The number of a lane, given out at its first use.
-- Tables: lane. :queue, :pool. Result: the number.
INSERT INTO lane (queue, pool) VALUES (:queue, :pool)
ON CONFLICT (queue, pool) DO UPDATE SET queue = excluded.queue
RETURNING id
