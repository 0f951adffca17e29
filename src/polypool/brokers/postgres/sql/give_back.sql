-- Return claimed messages of which nothing was run, uncounted.
-- Tables: live. $1 seqs, $2 tokens; a stale token changes nothing. Rings for work.
WITH given AS (
    UPDATE polypool.live SET state = 'queued', worker = NULL, deliveries = deliveries - 1
    FROM unnest($1::bigint[], $2::bigint[]) AS held (seq, token)
    WHERE live.seq = held.seq AND live.token = held.token AND live.state = 'running'
    RETURNING live.seq
)
SELECT count(*), (SELECT pg_notify('polypool:work', '')) FROM given
