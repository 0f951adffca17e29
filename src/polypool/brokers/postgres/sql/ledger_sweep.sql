-- Forget rows of the ledger that are over, so many at each change. Holders are not swept: what they hold lapses with them.
-- Tables: ledger. $1 now, $2 how many. Run under lock_ledger.
DELETE FROM polypool.ledger WHERE (kind, key) IN (
    SELECT kind, key FROM polypool.ledger
    WHERE over_at <= $1::float8 AND kind IN ('limit', 'own', 'tick') LIMIT $2::integer)
