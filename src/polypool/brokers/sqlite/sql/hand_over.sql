-- Park what was taken to be carried; the take is not counted.
-- Tables: task. :rows: JSON [[seq, token], …], :guard. Fenced by (seq, token, running).
UPDATE task
SET state = 'parked', guard = :guard, worker = NULL, deliveries = deliveries - 1
FROM (SELECT json_extract(value, '$[0]') AS seq, json_extract(value, '$[1]') AS token FROM json_each(:rows)) AS given
WHERE task.seq = given.seq AND task.token = given.token AND task.state = 'running'
