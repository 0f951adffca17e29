-- The first messages of a lane, highest priority first, then oldest.
-- Tables: task. :lane, :number, :inline: bodies above so many bytes are read one by one.
-- Result: one JSON [[seq, id, token, deliveries, is_cancelled, hex of the body or null, hex of the cause], …], in order. Run in the
-- transaction that claims them, so nobody else can pick the same.
SELECT json_group_array(json_array(seq, id, token, deliveries, is_cancelled,
                                   iif(length(body) <= :inline, hex(body), NULL), hex(cause)))
FROM (SELECT seq, id, token, deliveries, is_cancelled, body, cause
      FROM task
      WHERE state = 'queued' AND lane = :lane
      ORDER BY priority DESC, seq
      LIMIT :number)
