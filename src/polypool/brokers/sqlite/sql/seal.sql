-- Write for how many places a step waits.
-- Tables: task. :seq, :places. Run in the transaction that found it waiting with an open number.
UPDATE task SET waits = :places WHERE seq = :seq
