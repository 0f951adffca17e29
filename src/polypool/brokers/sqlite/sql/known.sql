-- Which of some ids are already there.
-- Tables: task. :ids: JSON. Result: JSON of ids. Run in the transaction that puts the others.
SELECT json_group_array(id) FROM task WHERE id IN (SELECT value FROM json_each(:ids))
