-- Accept messages that another engine carries; those whose id is known are left as they are.
-- Tables: task. :rows, :bodies: as in put.sql, the state of what is not due later `parked`; :guard: when those that nobody
-- confirmed go to their lanes.
INSERT INTO task (id, task, lane, state, priority, due, body, guard)
SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
       json_extract(value, '$[3]'), json_extract(value, '$[4]'), json_extract(value, '$[5]'),
       substr(:bodies, json_extract(value, '$[6]'), json_extract(value, '$[7]')),
       iif(json_extract(value, '$[3]') = 'parked', :guard, NULL)
FROM json_each(:rows)
WHERE true
ON CONFLICT (id) DO NOTHING
