-- Write how runs ended: state, ending, how long it is kept. A dead letter keeps its body, to be run again.
-- Tables: task. :rows: JSON [[seq, token, state, keep_until, reason, offset, length], …], :endings: end to end, :change.
-- Fenced by (seq, token, running): a stale settlement changes no row, and the count of rows tells.
UPDATE task
SET state = given.state, keep_until = given.keep_until, reason = given.reason, change = :change,
    ending = substr(:endings, given.start, given.length),
    body = iif(given.reason IS NULL, NULL, body), worker = NULL
FROM (SELECT json_extract(value, '$[0]') AS seq, json_extract(value, '$[1]') AS token,
             json_extract(value, '$[2]') AS state, json_extract(value, '$[3]') AS keep_until,
             json_extract(value, '$[4]') AS reason, json_extract(value, '$[5]') AS start,
             json_extract(value, '$[6]') AS length
      FROM json_each(:rows)) AS given
WHERE task.seq = given.seq AND task.token = given.token AND task.state = 'running'
