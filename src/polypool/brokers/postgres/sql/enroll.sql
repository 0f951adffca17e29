-- Accept messages that another engine carries; those whose id is known are left as they are.
-- Tables: task, live, worker. $1 to $7 as in put.sql; $8 when those that nobody confirmed go to their lanes. What is due
-- later is scheduled as ever. Result: the ids that were new. One statement: all or none.
-- Rings for work where somebody waits who would not look again before: each does at the end of the first lease, at the
-- latest of its own.
WITH added AS (
    INSERT INTO polypool.task (id, task, lane, priority, due, body, is_carried)
    SELECT id, task, lane, priority, due, body, due <= $7::float8
    FROM unnest($1::text[], $2::text[], $3::integer[], $4::integer[], $5::float8[], $6::bytea[])
         WITH ORDINALITY AS given (id, task, lane, priority, due, body, place)
    ORDER BY place
    ON CONFLICT (id) DO NOTHING
    RETURNING seq, id, lane, priority, due
), waiting AS (
    INSERT INTO polypool.live (seq, lane, state, priority, due, guard)
    SELECT seq, lane, CASE WHEN due > $7::float8 THEN 'scheduled' ELSE 'parked' END, priority, due,
           CASE WHEN due > $7::float8 THEN NULL ELSE $8::float8 END
    FROM added
)
SELECT id, (SELECT pg_notify('polypool:work', '')
                    WHERE EXISTS (SELECT FROM polypool.worker WHERE NOT is_dead AND lease_until > $8::float8)
                       OR EXISTS (SELECT FROM added WHERE due > $7::float8))
FROM added
