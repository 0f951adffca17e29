-- Let messages wait again, in their old places: retries, deferrals, lost runs, and what a workflow stands in for. One that was to
-- be cancelled waits for nothing.
-- Tables: task. :rows: JSON [[seq, token, state, due, deliveries, lane, priority, waits, offset, length], …] where
-- due, lane and priority are null and length 0 if unchanged, :bodies: end to end. Fenced by (seq, token, running); the count of rows tells.
UPDATE task
SET state = iif(task.is_cancelled, 'queued', given.state), waits = given.waits,
    due = iif(task.is_cancelled AND given.state = 'waiting', task.due, ifnull(given.due, task.due)), deliveries = given.deliveries,
    lane = ifnull(given.lane, task.lane), priority = ifnull(given.priority, task.priority), worker = NULL,
    body = iif(given.length > 0, substr(:bodies, given.start, given.length), task.body)
FROM (SELECT json_extract(value, '$[0]') AS seq, json_extract(value, '$[1]') AS token,
             json_extract(value, '$[2]') AS state, json_extract(value, '$[3]') AS due,
             json_extract(value, '$[4]') AS deliveries, json_extract(value, '$[5]') AS lane,
             json_extract(value, '$[6]') AS priority, json_extract(value, '$[7]') AS waits,
             json_extract(value, '$[8]') AS start, json_extract(value, '$[9]') AS length
      FROM json_each(:rows)) AS given
WHERE task.seq = given.seq AND task.token = given.token AND task.state = 'running'
