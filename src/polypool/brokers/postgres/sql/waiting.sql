-- Messages to be cancelled, locked as they are now.
-- Tables: task, live. $1 ids. Result: rows of id, seq, state, token, body; what is unknown or ended is left out.
SELECT task.id, live.seq, live.state, live.token, task.body
FROM polypool.task JOIN polypool.live ON live.seq = task.seq
WHERE task.id = ANY ($1::text[])
ORDER BY live.seq
FOR UPDATE OF live
