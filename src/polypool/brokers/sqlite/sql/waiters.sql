-- Those of some messages that wait for others, and how far they are.
-- Tables: task, mark. :ids: JSON. Result: JSON [[id, seq, waits, how many places are marked], …]. Run in the transaction that
-- writes what becomes of them.
SELECT json_group_array(json_array(task.id, task.seq, waits, ifnull(bits, 0)))
FROM json_each(:ids) AS asked
CROSS JOIN task ON task.id = asked.value
LEFT JOIN mark ON mark.seq = task.seq AND mark.span = -1
WHERE task.state = 'waiting'
