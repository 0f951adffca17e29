-- Remember messages that are about to end or be deleted, though copies of them may still come.
-- Tables: task, gone. :seqs: JSON, :until. Run before they are changed, in the same transaction.
INSERT INTO gone (id, until)
SELECT id, :until FROM task WHERE seq IN (SELECT value FROM json_each(:seqs)) AND guard IS NOT NULL
ON CONFLICT (id) DO UPDATE SET until = excluded.until
