-- Forget rows of the ledger.
-- Tables: ledger. $1 kinds, $2 keys. Run under lock_ledger.
DELETE FROM polypool.ledger USING unnest($1::text[], $2::text[]) AS name (kind, key)
WHERE ledger.kind = name.kind AND ledger.key = name.key
