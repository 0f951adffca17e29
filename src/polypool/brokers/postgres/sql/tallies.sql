-- What was measured, of all tasks or of one in one pool.
-- Tables: tally. $1 task, $2 pool: null for all. Result: rows of body.
SELECT body FROM polypool.tally WHERE $1::text IS NULL OR (task = $1 AND pool = $2::text) ORDER BY task, pool
