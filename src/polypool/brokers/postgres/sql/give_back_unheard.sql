-- Return what a worker holds by the tables but has never heard of, uncounted: the answer to its claim was lost.
-- Tables: live, worker. $1 the worker's name, $2 seqs and $3 tokens of what it knows to hold. Rings for work.
WITH given AS (
    UPDATE polypool.live SET state = 'queued', worker = NULL, deliveries = deliveries - 1
    WHERE state = 'running' AND worker = (SELECT id FROM polypool.worker WHERE name = $1)
      AND (seq, token) NOT IN (SELECT * FROM unnest($2::bigint[], $3::bigint[]))
    RETURNING live.seq
)
SELECT count(*), (SELECT pg_notify('polypool:work', '')) FROM given
