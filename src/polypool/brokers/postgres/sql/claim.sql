-- Hand the first messages of some lanes to a worker: each take raises the token and the delivery count.
-- Tables: live, task, worker. $1 the worker's name, $2 lanes in the order to empty them, $3 how many, $4 now, $5 whether to
-- do so though a delay, a guard or a lease has ended, whose messages may have to go first, $6 the number of this take (see
-- give_back.sql).
-- Result: rows of the worker's number (null: not alive), the next times at which a delay or a guard and a lease end (see
-- bury_workers.sql), and a claimed message (nulls: none): seq, token, deliveries, is cancelled, lane, priority, cause, body. Locked
-- rows are passed over, so no two workers get the same.
WITH next AS MATERIALIZED (
    SELECT (SELECT id FROM polypool.worker WHERE name = $1 AND NOT is_dead AND lease_until > $4::float8) AS worker,
           (SELECT least((SELECT min(due) FROM polypool.live WHERE state = 'scheduled'),
                         (SELECT min(guard) FROM polypool.live WHERE state = 'parked'))) AS due,
           (SELECT min(CASE WHEN started > $4::float8 THEN lease_until
                       ELSE greatest(lease_until, started + lease_until - seen_at) END)
            FROM polypool.worker, (SELECT extract(epoch FROM pg_postmaster_start_time())::float8 AS started) AS server
            WHERE NOT is_dead) AS lease_end
), claimed AS (
    UPDATE polypool.live
    SET state = 'running', worker = (SELECT worker FROM next), token = token + 1, deliveries = deliveries + 1,
        take = $6::bigint
    WHERE ctid = ANY (ARRAY(
        SELECT picked.place
        FROM next, unnest($2::integer[]) WITH ORDINALITY AS wanted (lane, turn)
        CROSS JOIN LATERAL (
            SELECT ctid AS place FROM polypool.live
            WHERE state = 'queued' AND live.lane = wanted.lane
            ORDER BY priority DESC, seq
            LIMIT $3::bigint
            FOR UPDATE SKIP LOCKED
        ) AS picked
        WHERE next.worker IS NOT NULL
          AND ($5::boolean OR ((next.due > $4::float8) IS NOT FALSE AND next.lease_end > $4::float8))
        LIMIT $3::bigint))
    RETURNING seq, token, deliveries, is_cancelled, lane, priority, cause
)
SELECT next.worker, next.due, next.lease_end, claimed.seq, token, deliveries, is_cancelled, lane, priority, cause,
       (SELECT body FROM polypool.task WHERE task.seq = claimed.seq)
FROM next LEFT JOIN claimed ON true
