-- What a worker holds and is asked to cancel.
-- Tables: live, worker, task. $1 its name. Result: rows of id.
SELECT task.id
FROM polypool.worker
JOIN polypool.live ON live.worker = worker.id AND live.state = 'running' AND live.is_cancelled
JOIN polypool.task ON task.seq = live.seq
WHERE worker.name = $1
ORDER BY task.seq
