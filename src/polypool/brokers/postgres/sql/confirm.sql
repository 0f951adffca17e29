-- Parked messages are carried, durably: they have no guard any more.
-- Tables: task, live. $1 ids, $2 now. What is not parked, or due to be in its lane, is left as it is.
UPDATE polypool.live SET guard = 'Infinity'
FROM polypool.task
WHERE task.id = ANY ($1::text[]) AND live.seq = task.seq AND live.state = 'parked' AND live.guard > $2::float8
