-- Add events to their streams; twice the same counts once, those of unknown tasks and before the kept history are dropped.
-- Tables: event, task, trimmed. :rows: JSON [[id, run, number, offset, length], …], :bodies: end to end, :change.
INSERT INTO event (seq, run, number, change, body)
SELECT task.seq, json_extract(value, '$[1]'), json_extract(value, '$[2]'), :change,
       substr(:bodies, json_extract(value, '$[3]'), json_extract(value, '$[4]'))
FROM json_each(:rows) AS given
JOIN task ON task.id = json_extract(given.value, '$[0]')
LEFT JOIN trimmed ON trimmed.seq = task.seq
WHERE trimmed.seq IS NULL
   OR (json_extract(value, '$[1]'), json_extract(value, '$[2]')) > (trimmed.run, trimmed.number)
ON CONFLICT DO NOTHING
