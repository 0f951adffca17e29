-- Hand these very messages to a worker, from wherever they wait; to one that is not alive nothing, but what was parked goes
-- to its lane.
-- Tables: task, live, worker. $1 the worker's name, $2 ids, $3 now, $4 the number of this take (see give_back.sql).
-- Result: rows of the worker's number (null: not alive), the next time at which a lease ends, and a claimed message (nulls:
-- none): id, seq, token, deliveries, is cancelled, lane, priority, cause, body. Locked in order, and looked at again once locked:
-- of two copies one is claimed.
WITH member AS MATERIALIZED (
    SELECT (SELECT id FROM polypool.worker WHERE name = $1 AND NOT is_dead AND lease_until > $3::float8) AS worker,
           (SELECT min(lease_until) FROM polypool.worker WHERE NOT is_dead) AS lease_end
), found AS MATERIALIZED (
    SELECT live.seq, task.id, task.body
    FROM polypool.task JOIN polypool.live ON live.seq = task.seq
    WHERE task.id = ANY ($2::text[])
      AND (live.state IN ('queued', 'parked') OR (live.state = 'scheduled' AND live.due <= $3::float8))
    ORDER BY live.seq
    FOR UPDATE OF live
), claimed AS (
    UPDATE polypool.live
    SET state = CASE WHEN member.worker IS NULL THEN 'queued' ELSE 'running' END, worker = member.worker,
        token = token + CASE WHEN member.worker IS NULL THEN 0 ELSE 1 END,
        deliveries = deliveries + CASE WHEN member.worker IS NULL THEN 0 ELSE 1 END,
        take = $4::bigint
    FROM found, member
    WHERE live.seq = found.seq
    RETURNING found.id, live.seq, live.token, live.deliveries, live.is_cancelled, live.lane, live.priority, live.cause, found.body
), told AS (
    SELECT (SELECT pg_notify('polypool:work', '')) FROM member
    WHERE member.worker IS NULL AND EXISTS (SELECT FROM claimed)
)
SELECT member.worker, member.lease_end, claimed.*, (SELECT count(*) FROM told)
FROM member LEFT JOIN claimed ON member.worker IS NOT NULL
