-- Which deliveries are still held.
-- Tables: task. :rows: JSON [[seq, token], …]. Result: JSON of the same. Run in the transaction that settles them.
SELECT json_group_array(json_array(seq, token))
FROM json_each(:rows) AS given
JOIN task ON task.seq = json_extract(given.value, '$[0]')
WHERE task.token = json_extract(given.value, '$[1]') AND task.state = 'running'
