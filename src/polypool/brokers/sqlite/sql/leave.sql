-- Forget workers: one that leaves, and those dead for so long that nobody asks.
-- Tables: worker. :worker: a name or null, :before: a time.
DELETE FROM worker WHERE name = :worker OR (is_dead AND seen_at < :before)
