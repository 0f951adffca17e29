-- Delays that have ended: the messages stand in line again, in their old places.
-- Tables: live. $1 now. At most 2,000 at a time, so that no statement lasts. Rings for work: others wait for other lanes.
WITH promoted AS (
    UPDATE polypool.live SET state = 'queued'
    WHERE ctid = ANY (ARRAY(SELECT ctid FROM polypool.live WHERE state = 'scheduled' AND due <= $1::float8
                            ORDER BY due LIMIT 2000 FOR UPDATE SKIP LOCKED))
    RETURNING seq
)
SELECT seq, (SELECT pg_notify('polypool:work', '')) FROM promoted
