-- Remember messages that are about to end or be deleted, though copies of them may still come.
-- Tables: live, task, gone. $1 seqs, $2 until when. Run before they are changed, in the same transaction.
INSERT INTO polypool.gone (id, until)
SELECT task.id, $2::float8
FROM polypool.live JOIN polypool.task ON task.seq = live.seq
WHERE live.seq = ANY ($1::bigint[]) AND live.guard IS NOT NULL
ON CONFLICT (id) DO UPDATE SET until = excluded.until
