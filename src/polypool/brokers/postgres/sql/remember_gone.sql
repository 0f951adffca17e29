-- Remember messages that are about to end or be deleted, though copies of them may still come.
-- Tables: task, gone. $1 seqs, $2 until when. Run before they are deleted, in the same transaction.
INSERT INTO polypool.gone (id, until)
SELECT id, $2::float8 FROM polypool.task WHERE seq = ANY ($1::bigint[]) AND is_carried
ON CONFLICT (id) DO UPDATE SET until = excluded.until
