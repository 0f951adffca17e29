-- Messages to be cancelled, as they are now.
-- Tables: task. :ids: JSON, :now. Result: rows of id, seq, state, body; what is unknown or ended is left out.
SELECT task.id, seq, state, body
FROM json_each(:ids) AS asked JOIN task ON task.id = asked.value
WHERE state IN ('scheduled', 'waiting', 'queued', 'parked', 'running')
