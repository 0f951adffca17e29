-- Which migrations were applied.
-- Tables: migration. Result: the last one's number.
SELECT coalesce(max(version), 0) FROM polypool.migration
