-- Return claimed messages of which nothing was run, uncounted.
-- Tables: task. :rows: JSON [[seq, token], …]; a stale token changes nothing.
UPDATE task
SET state = 'queued', worker = NULL, deliveries = deliveries - 1
FROM (SELECT json_extract(value, '$[0]') AS seq, json_extract(value, '$[1]') AS token FROM json_each(:rows)) AS given
WHERE task.seq = given.seq AND task.token = given.token AND task.state = 'running'
