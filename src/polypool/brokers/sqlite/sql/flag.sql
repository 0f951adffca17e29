-- Ask for running messages to be cancelled by whoever holds them.
-- Tables: task. :seqs: JSON.
UPDATE task SET is_cancelled = 1 WHERE seq IN (SELECT value FROM json_each(:seqs))
