-- Messages to be cancelled, and those behind them, locked as they are now: those that wait for others last, all in order (see
-- signal.sql).
-- Tables: task, live. $1 ids. Result: rows of id, seq, state, token, body; what is unknown or ended is left out.
SELECT task.id, live.seq, live.state, live.token, task.body
FROM polypool.task JOIN polypool.live ON live.seq = task.seq
WHERE task.id = ANY ($1::text[])
ORDER BY live.state = 'waiting', live.seq
FOR UPDATE OF live
