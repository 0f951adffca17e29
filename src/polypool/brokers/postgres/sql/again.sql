-- Let messages wait again, in their old places: retries, deferrals, lost runs, and those that wait for others now. One that
-- was to be cancelled waits for nothing.
-- Tables: live, task, mark. $1 seqs, $2 tokens, $3 dues, $4 deliveries, $5 lanes, $6 priorities, $7 bodies, $8 how many places
-- each waits for (see accept.sql): an array each, every (seq, token) once, null for what stays as it is; $9 now.
-- Result: the (seq, token) that were held. Fenced. Rings for work.
WITH back AS (
    UPDATE polypool.live
    SET state = CASE WHEN live.is_cancelled THEN 'queued' WHEN given.waits IS NOT NULL THEN 'waiting'
                     WHEN given.due > $9::float8 THEN 'scheduled' ELSE 'queued' END,
        due = CASE WHEN live.is_cancelled THEN live.due ELSE coalesce(given.due, live.due) END,
        deliveries = given.deliveries, worker = NULL,
        lane = coalesce(given.lane, live.lane), priority = coalesce(given.priority, live.priority),
        waits = nullif(given.waits, -1), marked = CASE WHEN given.waits IS NOT NULL THEN 0 END
    FROM unnest($1::bigint[], $2::bigint[], $3::float8[], $4::integer[], $5::integer[], $6::integer[], $7::bytea[],
                $8::integer[]) AS given (seq, token, due, deliveries, lane, priority, body, waits)
    WHERE live.seq = given.seq AND live.token = given.token AND live.state || '' = 'running'
    RETURNING live.seq, live.token, live.lane, live.priority, given.body
), changed AS (
    UPDATE polypool.task SET body = back.body, lane = back.lane, priority = back.priority
    FROM back WHERE task.seq = back.seq AND back.body IS NOT NULL
), unmarked AS (
    DELETE FROM polypool.mark USING back WHERE mark.seq = back.seq AND back.body IS NOT NULL
)
SELECT seq, token, (SELECT pg_notify('polypool:work', '')) FROM back
