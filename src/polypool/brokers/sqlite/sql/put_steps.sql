-- Accept messages of which some wait for others; those whose id is known are left as they are.
-- Tables: task. :rows: JSON [[id, task, lane, state, priority, due, waits, offset, length], …], :bodies: as in put.sql; the state of
-- those that wait is `waiting`, of others `waits` is null. :guard: as in enroll.sql. A statement of its own: a field costs each row.
INSERT INTO task (id, task, lane, state, priority, due, waits, body, guard)
SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
       json_extract(value, '$[3]'), json_extract(value, '$[4]'), json_extract(value, '$[5]'), json_extract(value, '$[6]'),
       substr(:bodies, json_extract(value, '$[7]'), json_extract(value, '$[8]')),
       iif(json_extract(value, '$[3]') = 'parked', :guard, NULL)
FROM json_each(:rows)
WHERE true
ON CONFLICT (id) DO NOTHING
