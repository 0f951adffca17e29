-- End a message that waits.
-- Tables: task. :seq, :state, :ending, :keep_until, :keeps_body, :change. Run in the transaction that looked at its state.
UPDATE task
SET state = :state, ending = :ending, keep_until = :keep_until, change = :change, body = iif(:keeps_body, body, NULL), cause = NULL
WHERE seq = :seq
