-- What is carried, confirmed and unclaimed in a lane stands in line again, in its old place: the other engine lost it.
-- Tables: task, lane. :queue, :pool.
UPDATE task SET state = 'queued'
WHERE state = 'parked' AND guard = 9e999 AND lane = (SELECT id FROM lane WHERE queue = :queue AND pool = :pool)
