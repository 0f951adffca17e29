-- What was measured, of all tasks or of one in one pool.
-- Tables: tally. :task, :pool: null for all. Result: rows of body.
SELECT body FROM tally WHERE :task IS NULL OR (task = :task AND pool = :pool) ORDER BY task, pool
