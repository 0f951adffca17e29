-- Hand the first messages of some lanes to a worker: each take raises the token and the delivery count.
-- Tables: live, task, worker. $1 the worker's name, $2 lanes in the order to empty them, $3 how many, $4 now.
-- Result: rows of the next times at which a delay and a lease end, and a claimed message (nulls: none): seq, token,
-- deliveries, is cancelled, lane, priority, body. Locked rows are passed over, so no two workers get the same.
WITH member AS (
    SELECT id FROM polypool.worker WHERE name = $1 AND NOT is_dead AND lease_until > $4::float8
), claimed AS (
    UPDATE polypool.live
    SET state = 'running', worker = (SELECT id FROM member), token = token + 1, deliveries = deliveries + 1
    WHERE ctid = ANY (ARRAY(
        SELECT picked.place
        FROM member, unnest($2::integer[]) WITH ORDINALITY AS wanted (lane, turn)
        CROSS JOIN LATERAL (
            SELECT ctid AS place FROM polypool.live
            WHERE state = 'queued' AND live.lane = wanted.lane
            ORDER BY priority DESC, seq
            LIMIT $3::bigint
            FOR UPDATE SKIP LOCKED
        ) AS picked
        LIMIT $3::bigint))
    RETURNING seq, token, deliveries, is_cancelled, lane, priority
)
SELECT next.due, next.lease_end, claimed.seq, token, deliveries, is_cancelled, lane, priority,
       (SELECT body FROM polypool.task WHERE task.seq = claimed.seq)
FROM (SELECT (SELECT min(due) FROM polypool.live WHERE state = 'scheduled') AS due,
             (SELECT min(lease_until) FROM polypool.worker WHERE NOT is_dead) AS lease_end) AS next
LEFT JOIN claimed ON true
