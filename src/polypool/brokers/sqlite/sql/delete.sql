-- Delete messages, whatever their state.
-- Tables: task. :seqs: JSON.
DELETE FROM task WHERE seq IN (SELECT value FROM json_each(:seqs))
