-- End a message that waits.
-- Tables: task. :seq, :state, :ending, :keep_until, :change. Run in the transaction that looked at its state.
UPDATE task
SET state = :state, ending = :ending, keep_until = :keep_until, change = :change, body = NULL
WHERE seq = :seq
