-- What is known of messages.
-- Tables: task, live, ending. $1 ids, $2 now. Result: rows of id, state, task, is dead, ending (null: not ended); ids that
-- are unknown or over are left out.
SELECT task.id, CASE live.state WHEN 'parked' THEN 'queued' WHEN 'waiting' THEN 'scheduled' ELSE coalesce(live.state, ending.state) END,
       task.task, ending.reason IS NOT NULL, ending.body
FROM unnest($1::text[]) AS asked (id)
JOIN polypool.task ON task.id = asked.id
LEFT JOIN polypool.live ON live.seq = task.seq
LEFT JOIN polypool.ending ON ending.seq = task.seq
WHERE ending.keep_until IS NULL OR ending.keep_until > $2::float8
