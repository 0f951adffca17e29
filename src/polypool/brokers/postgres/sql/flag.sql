-- Ask for running messages to be cancelled by whoever holds them.
-- Tables: live. $1 seqs. Rings for orders.
WITH flagged AS (
    UPDATE polypool.live SET is_cancelled = true WHERE seq = ANY ($1::bigint[]) RETURNING seq
)
SELECT seq, (SELECT pg_notify('polypool:orders', '')) FROM flagged
