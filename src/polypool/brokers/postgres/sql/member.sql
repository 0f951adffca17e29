-- A worker as it was last seen, locked.
-- Tables: worker. $1 its name. Result: its number, its run, whether it counts as dead, when its lease ends.
SELECT id, run, is_dead, lease_until FROM polypool.worker WHERE name = $1 FOR UPDATE
