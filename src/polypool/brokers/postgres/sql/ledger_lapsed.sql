-- Holders whose lease has ended, and what they hold. Nobody could renew while the server was away, so a lease lasts until its
-- whole length has passed since the server started (see bury_workers.sql).
-- Tables: ledger. $1 now. Result: whole rows. Run under lock_ledger.
WITH lapsed AS (
    SELECT kind, key, holder, body, over_at
    FROM polypool.ledger, (SELECT extract(epoch FROM pg_postmaster_start_time())::float8 AS started) AS server
    WHERE kind = 'holder' AND over_at <= $1::float8
      AND (started > $1::float8 OR started + body::float8 <= $1::float8)
)
SELECT kind, key, holder, body, over_at FROM lapsed
UNION ALL
SELECT held.kind, held.key, held.holder, held.body, held.over_at
FROM lapsed JOIN polypool.ledger AS held ON held.holder = lapsed.key
