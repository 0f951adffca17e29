-- Let messages wait again, in their old places: retries, deferrals, lost runs. One that was to be cancelled waits for nothing.
-- Tables: live, task. $1 seqs, $2 tokens, $3 dues, $4 deliveries, $5 lanes, $6 priorities, $7 bodies: an array each, every
-- (seq, token) once, null for what stays as it is; $8 now. Result: the (seq, token) that were held. Fenced. Rings for work.
WITH back AS (
    UPDATE polypool.live
    SET state = CASE WHEN NOT live.is_cancelled AND given.due > $8::float8 THEN 'scheduled' ELSE 'queued' END,
        due = coalesce(given.due, live.due), deliveries = given.deliveries, worker = NULL,
        lane = coalesce(given.lane, live.lane), priority = coalesce(given.priority, live.priority)
    FROM unnest($1::bigint[], $2::bigint[], $3::float8[], $4::integer[], $5::integer[], $6::integer[], $7::bytea[])
         AS given (seq, token, due, deliveries, lane, priority, body)
    WHERE live.seq = given.seq AND live.token = given.token AND live.state = 'running'
    RETURNING live.seq, live.token, live.lane, live.priority, given.body
), changed AS (
    UPDATE polypool.task SET body = back.body, lane = back.lane, priority = back.priority
    FROM back WHERE task.seq = back.seq AND back.body IS NOT NULL
)
SELECT seq, token, (SELECT pg_notify('polypool:work', '')) FROM back
