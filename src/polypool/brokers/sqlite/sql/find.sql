-- Messages that people look for, the newest first. More conditions come from inspector.py.
-- Tables: task, lane, worker. :limit and what the conditions name.
-- Result: rows of seq, id, task, state, queue, pool, priority, due, deliveries, worker, reason, ending, body.
SELECT seq, task.id, task.task, CASE state WHEN 'parked' THEN 'queued' WHEN 'waiting' THEN 'scheduled' ELSE state END,
       queue, pool, priority, iif(state = 'waiting', NULL, due), deliveries, worker.name, reason, ending, body
FROM task JOIN lane ON lane.id = task.lane LEFT JOIN worker ON worker.id = task.worker
WHERE /* conditions */ true
ORDER BY seq DESC LIMIT :limit
