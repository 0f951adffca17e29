-- Park what was taken to be carried by another engine; the take is not counted.
-- Tables: live, worker. $1 seqs, $2 tokens, $3 when those that nobody confirmed go to their lanes. Result: the (seq, token)
-- that were held. Fenced by (seq, token, running). Rings as enroll.sql does.
WITH parked AS (
    UPDATE polypool.live SET state = 'parked', guard = $3::float8, worker = NULL, deliveries = deliveries - 1
    FROM unnest($1::bigint[], $2::bigint[]) AS held (seq, token)
    WHERE live.seq = held.seq AND live.token = held.token AND live.state = 'running'
    RETURNING live.seq, live.token
)
SELECT seq, token, (SELECT pg_notify('polypool:work', '')
                    WHERE EXISTS (SELECT FROM polypool.worker WHERE NOT is_dead AND lease_until > $3::float8))
FROM parked
