-- The number of a lane, if it ever was used.
-- Tables: lane. $1 queue, $2 pool. Result: the number.
SELECT id FROM polypool.lane WHERE queue = $1 AND pool = $2
