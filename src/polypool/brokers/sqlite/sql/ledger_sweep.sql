-- Forget rows of the ledger that are over, so many at each change. Holders are not swept: what they hold lapses with them.
-- Tables: ledger. :now, :limit.
DELETE FROM ledger WHERE (kind, key) IN (
    SELECT kind, key FROM ledger WHERE over_at <= :now AND kind IN ('limit', 'own', 'tick') LIMIT :limit)
