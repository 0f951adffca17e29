-- What a worker holds and is asked to cancel.
-- Tables: task, worker. :worker: its name. Result: JSON of ids.
SELECT json_group_array(id)
FROM task
WHERE state = 'running' AND is_cancelled = 1 AND worker = (SELECT id FROM worker WHERE name = :worker)
