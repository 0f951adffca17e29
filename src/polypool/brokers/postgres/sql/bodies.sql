-- What was sent and has not ended.
-- Tables: task, live. $1 ids. Result: rows of id, body; what is unknown or ended is left out.
SELECT task.id, task.body
FROM polypool.task JOIN polypool.live ON live.seq = task.seq
WHERE task.id = ANY ($1::text[])
