-- Endings among some ids whose time to live is over.
-- Tables: task. :ids: JSON, :now. Result: JSON of seqs. Run in the transaction that deletes them.
SELECT json_group_array(seq)
FROM task
WHERE id IN (SELECT value FROM json_each(:ids)) AND keep_until <= :now
