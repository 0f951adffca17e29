-- Parked messages are carried, durably: they have no guard any more.
-- Tables: task, live. $1 ids, $2 tokens (null: whichever), $3 now. What is not parked, in a later parking than that of its
-- token, or due to be in its lane is left as it is.
UPDATE polypool.live SET guard = 'Infinity'
FROM unnest($1::text[], $2::bigint[]) AS given (id, token) JOIN polypool.task ON task.id = given.id
WHERE live.seq = task.seq AND live.state = 'parked' AND live.guard > $3::float8
  AND live.token = coalesce(given.token, live.token)
