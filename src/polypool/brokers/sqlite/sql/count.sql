-- Store a merged tally. Run in the transaction that read the one before.
-- Tables: tally. :task, :pool, :body.
INSERT INTO tally (task, pool, body) VALUES (:task, :pool, :body)
ON CONFLICT (task, pool) DO UPDATE SET body = excluded.body
