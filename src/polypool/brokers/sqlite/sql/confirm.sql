-- Parked messages are carried, durably: they have no guard any more.
-- Tables: task. :rows: JSON [[id, token or null], …], :now. What is not parked, in a later parking than that of its token,
-- or due to be in its lane is left as it is.
UPDATE task SET guard = 9e999
FROM (SELECT json_extract(value, '$[0]') AS id, json_extract(value, '$[1]') AS token FROM json_each(:rows)) AS given
WHERE task.id = given.id AND task.state = 'parked' AND task.guard > :now AND task.token = ifnull(given.token, task.token)
