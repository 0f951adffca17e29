-- Steps that are only to be ended go to their lanes at once.
-- Tables: task. :rows: JSON [[seq, offset, length], …], :causes: end to end, :now. Run in the transaction that found them waiting.
UPDATE task
SET state = 'queued', due = :now, cause = substr(:causes, given.start, given.length)
FROM (SELECT json_extract(value, '$[0]') AS seq, json_extract(value, '$[1]') AS start, json_extract(value, '$[2]') AS length
      FROM json_each(:rows)) AS given
WHERE task.seq = given.seq
