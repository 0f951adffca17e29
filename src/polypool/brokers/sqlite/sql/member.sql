-- A worker as it was last seen.
-- Tables: worker. :worker: its name. Result: its number, its run, whether it counts as dead, when its lease ends.
SELECT id, run, is_dead, lease_until FROM worker WHERE name = :worker
