-- Which of some messages need no more waiting for: they have ended or are gone.
-- Tables: task, live. $1 ids. Result: rows of id.
SELECT asked.id
FROM unnest($1::text[]) AS asked (id)
LEFT JOIN polypool.task ON task.id = asked.id
LEFT JOIN polypool.live ON live.seq = task.seq
WHERE live.seq IS NULL
