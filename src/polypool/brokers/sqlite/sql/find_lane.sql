-- The number of a lane, if it ever was used.
-- Tables: lane. :queue, :pool. Result: the number.
SELECT id FROM lane WHERE queue = :queue AND pool = :pool
