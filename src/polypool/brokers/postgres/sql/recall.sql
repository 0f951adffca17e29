-- What is carried, confirmed and unclaimed in a lane stands in line again, in its old place: the other engine lost it.
-- Tables: live, lane. $1 queue, $2 pool, $3 how many at most, so that no statement lasts. Rings for work.
-- Result: a row each. What is being claimed at this moment is passed over.
WITH recalled AS (
    UPDATE polypool.live SET state = 'queued'
    WHERE ctid = ANY (ARRAY(SELECT ctid FROM polypool.live
                            WHERE state = 'parked' AND guard = 'Infinity'
                              AND lane = (SELECT id FROM polypool.lane WHERE queue = $1 AND pool = $2)
                            LIMIT $3::bigint FOR UPDATE SKIP LOCKED))
    RETURNING seq
)
SELECT seq, (SELECT pg_notify('polypool:work', '')) FROM recalled
