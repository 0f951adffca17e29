-- Give dead letters their runs back.
-- Tables: task. :seqs: JSON, :now.
UPDATE task
SET state = 'queued', due = :now, deliveries = 0, is_cancelled = 0, worker = NULL,
    keep_until = NULL, change = NULL, reason = NULL, ending = NULL, cause = NULL
WHERE reason IS NOT NULL AND seq IN (SELECT value FROM json_each(:seqs))
