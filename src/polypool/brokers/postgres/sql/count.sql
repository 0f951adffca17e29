-- Store a merged tally. Run in the transaction that locked the tallies and read the one before.
-- Tables: tally. $1 task, $2 pool, $3 body.
INSERT INTO polypool.tally (task, pool, body) VALUES ($1, $2, $3)
ON CONFLICT (task, pool) DO UPDATE SET body = excluded.body
