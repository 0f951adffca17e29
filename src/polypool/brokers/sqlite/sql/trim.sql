-- Drop a stream's events that come before its kept history.
-- Tables: event, trimmed, task. :id. Run in the transaction that moved the mark.
DELETE FROM event
WHERE seq = (SELECT seq FROM task WHERE id = :id)
  AND (run, number) <= (SELECT run, number FROM trimmed WHERE trimmed.seq = event.seq)
