-- Accept messages; those whose id is known are left as they are.
-- Tables: task, live. $1 ids (each once), $2 tasks, $3 lanes, $4 priorities, $5 dues, $6 bodies: an array each; $7 now.
-- Result: the ids that were new. Rings for work. One statement: all or none.
WITH added AS (
    INSERT INTO polypool.task (id, task, lane, priority, due, body)
    SELECT id, task, lane, priority, due, body
    FROM unnest($1::text[], $2::text[], $3::integer[], $4::integer[], $5::float8[], $6::bytea[])
         WITH ORDINALITY AS given (id, task, lane, priority, due, body, place)
    ORDER BY place
    ON CONFLICT (id) DO NOTHING
    RETURNING seq, id, lane, priority, due
), waiting AS (
    INSERT INTO polypool.live (seq, lane, state, priority, due)
    SELECT seq, lane, CASE WHEN due > $7::float8 THEN 'scheduled' ELSE 'queued' END, priority, due FROM added
)
SELECT id, (SELECT pg_notify('polypool:work', '')) FROM added
