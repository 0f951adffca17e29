-- Accept messages; those whose id is known are left as they are.
-- Tables: task. :rows: JSON [[id, task, lane, state, priority, due, offset, length], …], :bodies: their bodies end to end
-- (offsets count from 1). One statement for the whole batch: the lock on Python's interpreter is let go once, not once a row.
INSERT INTO task (id, task, lane, state, priority, due, body)
SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
       json_extract(value, '$[3]'), json_extract(value, '$[4]'), json_extract(value, '$[5]'),
       substr(:bodies, json_extract(value, '$[6]'), json_extract(value, '$[7]'))
FROM json_each(:rows)
WHERE true
ON CONFLICT (id) DO NOTHING
