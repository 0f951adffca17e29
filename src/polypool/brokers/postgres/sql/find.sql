-- Messages that people look for, the newest first. More conditions come from inspector.py.
-- Tables: task, live, ending, lane, worker. $1 now, $2 limit, and what the conditions name.
-- Result: rows of seq, id, task, state, queue, pool, priority, due (null: waits for others), deliveries, worker,
-- reason, ending, body.
SELECT task.seq, task.id, task.task,
       CASE live.state WHEN 'parked' THEN 'queued' WHEN 'waiting' THEN 'scheduled' ELSE coalesce(live.state, ending.state) END,
       queue, pool, task.priority, CASE WHEN live.state <> 'waiting' THEN live.due END, live.deliveries, worker.name,
       ending.reason, ending.body, task.body
FROM polypool.task
JOIN polypool.lane ON lane.id = task.lane
LEFT JOIN polypool.live ON live.seq = task.seq
LEFT JOIN polypool.ending ON ending.seq = task.seq
LEFT JOIN polypool.worker ON worker.id = live.worker
WHERE (ending.keep_until IS NULL OR ending.keep_until > $1::float8) AND /* conditions */ true
ORDER BY task.seq DESC LIMIT $2::bigint
