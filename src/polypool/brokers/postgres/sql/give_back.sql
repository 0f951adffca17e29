-- Return what takes brought that reached nobody (cancelled, or the answer was lost), uncounted and in the old places.
-- Tables: live, worker. $1 the worker's name, $2 the numbers of the takes. What was given to somebody else, or to this worker
-- by another take, is left as it is: doing it twice changes nothing. Rings for work.
WITH given AS (
    UPDATE polypool.live SET state = 'queued', worker = NULL, deliveries = deliveries - 1
    WHERE state = 'running' AND worker = (SELECT id FROM polypool.worker WHERE name = $1) AND take = ANY ($2::bigint[])
    RETURNING seq
)
SELECT seq, (SELECT pg_notify('polypool:work', '')) FROM given
