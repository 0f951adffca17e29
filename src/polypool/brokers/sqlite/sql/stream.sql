-- Where a task's stream stands.
-- Tables: task, trimmed. :id, :now. Result: seq, state, task, is dead, ending, run and number of the newest event dropped.
SELECT task.seq, state, task.task, reason IS NOT NULL, ending, ifnull(trimmed.run, 0), ifnull(trimmed.number, 0)
FROM task LEFT JOIN trimmed ON trimmed.seq = task.seq
WHERE id = :id AND (keep_until IS NULL OR keep_until > :now)
