-- Guards that have run out: nobody said that these are carried, so they stand in line, in their old places.
-- Tables: live. $1 now. At most 2,000 at a time, so that no statement lasts. Rings for work: others wait for other lanes.
WITH unparked AS (
    UPDATE polypool.live SET state = 'queued'
    WHERE ctid = ANY (ARRAY(SELECT ctid FROM polypool.live WHERE state = 'parked' AND guard <= $1::float8
                            ORDER BY guard LIMIT 2000 FOR UPDATE SKIP LOCKED))
    RETURNING seq
)
SELECT seq, (SELECT pg_notify('polypool:work', '')) FROM unparked
