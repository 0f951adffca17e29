-- Those of some messages that wait and are due.
-- Tables: task, lane. :ids: JSON, :now, :inline: bodies above so many bytes are read one by one.
-- Result: JSON [[[queue, pool], [seq, id, token, deliveries, is_cancelled, hex of the body or null, hex of the cause]], …]. Run in the
-- transaction that claims them, so nobody else can pick the same.
SELECT json_group_array(json_array(
           json_array(queue, pool),
           json_array(seq, task.id, token, deliveries, is_cancelled, iif(length(body) <= :inline, hex(body), NULL), hex(cause))))
FROM task JOIN lane ON lane.id = task.lane
WHERE task.id IN (SELECT value FROM json_each(:ids))
  AND (state IN ('queued', 'parked') OR (state = 'scheduled' AND due <= :now))
