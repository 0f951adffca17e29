-- Whether all who wait will look again before a given time: each does at the end of the first lease, at the latest of its own.
-- Tables: worker. :then. Result: 0 or 1.
SELECT NOT EXISTS (SELECT 1 FROM worker WHERE NOT is_dead AND lease_until > :then)
