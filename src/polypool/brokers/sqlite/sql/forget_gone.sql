-- Forget messages of which no copy can come any more, a batch at a time.
-- Tables: gone. :now, :limit.
DELETE FROM gone WHERE id IN (SELECT id FROM gone WHERE until <= :now ORDER BY until LIMIT :limit)
