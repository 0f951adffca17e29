-- A stream's events after a cursor, and where its task stands, as of one moment.
-- Tables: task, live, ending, trimmed, event. $1 id, $2 run, $3 number, $4 now.
-- Result: no row for an unknown task; else state, task, is dead, ending (null: not ended), run and number of the newest
-- event dropped, the bodies of the events in order.
SELECT CASE live.state WHEN 'parked' THEN 'queued' WHEN 'waiting' THEN 'scheduled' ELSE coalesce(live.state, ending.state) END,
       task.task, ending.reason IS NOT NULL, ending.body,
       coalesce(trimmed.run, 0), coalesce(trimmed.number, 0),
       ARRAY(SELECT event.body FROM polypool.event
             WHERE event.seq = task.seq AND (event.run, event.number) > ($2::bigint, $3::bigint)
             ORDER BY run, number)
FROM polypool.task
LEFT JOIN polypool.live ON live.seq = task.seq
LEFT JOIN polypool.ending ON ending.seq = task.seq
LEFT JOIN polypool.trimmed ON trimmed.seq = task.seq
WHERE task.id = $1 AND (ending.keep_until IS NULL OR ending.keep_until > $4::float8)
