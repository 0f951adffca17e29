-- What is known of messages.
-- Tables: task. :ids: JSON, :now, :inline: endings above so many bytes are read one by one.
-- Result: JSON [[id, seq, state, task, is dead, hex of the ending (empty: not ended) or null], …]; ids that are unknown or over are left out.
SELECT json_group_array(json_array(task.id, seq, CASE state WHEN 'parked' THEN 'queued' WHEN 'waiting' THEN 'scheduled' ELSE state END, task.task, reason IS NOT NULL,
                                   iif(ending IS NULL OR length(ending) <= :inline, hex(ending), NULL)))
FROM json_each(:ids) AS asked JOIN task ON task.id = asked.value
WHERE keep_until IS NULL OR keep_until > :now
