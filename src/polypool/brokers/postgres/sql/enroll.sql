-- Accept messages that another engine carries; those whose id is known are left as they are.
-- Tables: task, live, worker. $1 to $8 as in put.sql; $9 when those that nobody confirmed go to their lanes. What is due
-- later is scheduled as ever, and what waits for others waits. Result: the ids that were new. One statement: all or none.
-- Rings for work where somebody waits who would not look again before: each does at the end of the first lease, at the
-- latest of its own.
WITH added AS (
    INSERT INTO polypool.task (id, task, lane, priority, due, body, waits, is_carried)
    SELECT id, task, lane, priority, due, body, waits, waits IS NULL AND due <= $8::float8
    FROM unnest($1::text[], $2::text[], $3::integer[], $4::integer[], $5::float8[], $6::bytea[], $7::integer[])
         WITH ORDINALITY AS given (id, task, lane, priority, due, body, waits, place)
    ORDER BY place
    ON CONFLICT (id) DO NOTHING
    RETURNING seq, id, lane, priority, due, waits, is_carried
), waiting AS (
    INSERT INTO polypool.live (seq, lane, state, priority, due, guard, waits, marked)
    SELECT seq, lane,
           CASE WHEN is_carried THEN 'parked' WHEN waits IS NOT NULL THEN 'waiting' ELSE 'scheduled' END,
           priority, due, CASE WHEN is_carried THEN $9::float8 END, nullif(waits, -1), CASE WHEN waits IS NOT NULL THEN 0 END
    FROM added
)
SELECT id, (SELECT pg_notify('polypool:work', '')
                    WHERE EXISTS (SELECT FROM polypool.worker WHERE NOT is_dead AND lease_until > $9::float8)
                       OR EXISTS (SELECT FROM added WHERE waits IS NULL AND due > $8::float8))
FROM added
