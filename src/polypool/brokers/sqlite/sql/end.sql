-- Write how runs ended: state, ending, how long it is kept. A dead letter keeps its body, to be run again; a
-- workflow's plan stands in one.
-- Tables: task. :rows: JSON [[seq, token, offset, length], …], :endings: end to end; what all of them share: :state, :keep_until,
-- :reason, :keeps_body, :change. What is shared is not in the rows because json_extract reads a row anew for each of its fields.
-- Fenced by (seq, token, running): a stale settlement changes no row, and the count of rows tells.
UPDATE task
SET state = :state, keep_until = :keep_until, reason = :reason, change = :change,
    ending = substr(:endings, given.start, given.length),
    body = iif(:reason IS NULL AND NOT :keeps_body, NULL, body), cause = NULL, worker = NULL
FROM (SELECT json_extract(value, '$[0]') AS seq, json_extract(value, '$[1]') AS token,
             json_extract(value, '$[2]') AS start, json_extract(value, '$[3]') AS length
      FROM json_each(:rows)) AS given
WHERE task.seq = given.seq AND task.token = given.token AND task.state = 'running'
