-- Count workers whose lease has ended as dead: each is told so by its next beat.
-- Tables: worker. $1 now. Workers that somebody else is looking at are left to them.
UPDATE polypool.worker SET is_dead = true
WHERE id IN (SELECT id FROM polypool.worker WHERE NOT is_dead AND lease_until <= $1::float8 FOR UPDATE SKIP LOCKED)
