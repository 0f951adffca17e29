-- Put back what dead workers hold, and what one worker does: the next take raises the token, the delivery count stays.
-- Tables: live, worker. $1 a worker's number or null. Rings for work.
WITH back AS (
    UPDATE polypool.live SET state = 'queued', worker = NULL
    WHERE state = 'running'
      AND worker = ANY (ARRAY(SELECT id FROM polypool.worker WHERE is_dead OR id = $1::integer))
    RETURNING seq
)
SELECT seq, (SELECT pg_notify('polypool:work', '')) FROM back
