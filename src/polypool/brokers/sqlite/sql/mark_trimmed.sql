-- Remember where a stream's kept history is to begin: the newest event that is to go.
-- Tables: event, trimmed, task. :id, :kept: how many stay.
INSERT INTO trimmed (seq, run, number)
SELECT seq, run, number FROM event WHERE seq = (SELECT seq FROM task WHERE id = :id)
ORDER BY run DESC, number DESC LIMIT 1 OFFSET :kept
ON CONFLICT (seq) DO UPDATE SET run = excluded.run, number = excluded.number
