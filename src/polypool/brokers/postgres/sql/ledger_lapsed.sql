-- Holders whose lease has ended, and what they hold.
-- Tables: ledger. $1 now. Result: whole rows. Run under lock_ledger.
SELECT kind, key, holder, body, over_at FROM polypool.ledger WHERE kind = 'holder' AND over_at <= $1::float8
UNION ALL
SELECT held.kind, held.key, held.holder, held.body, held.over_at
FROM polypool.ledger AS lapsed JOIN polypool.ledger AS held ON held.holder = lapsed.key
WHERE lapsed.kind = 'holder' AND lapsed.over_at <= $1::float8
