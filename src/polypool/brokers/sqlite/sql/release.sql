-- Steps whose places are all marked go to their lanes, or wait there for their time, counted from now where that is negative.
-- Tables: task. :seqs: JSON, :now. Run in the transaction that found them waiting.
UPDATE task
SET state = iif(due < 0 OR due > :now, 'scheduled', 'queued'), due = iif(due < 0, :now - due, max(due, :now))
WHERE seq IN (SELECT value FROM json_each(:seqs))
