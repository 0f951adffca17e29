-- Rows of the ledger by kind and key.
-- Tables: ledger. $1 kinds, $2 keys. Result: whole rows. Run under lock_ledger.
SELECT ledger.kind, ledger.key, holder, body, over_at
FROM unnest($1::text[], $2::text[]) AS name (kind, key)
JOIN polypool.ledger ON ledger.kind = name.kind AND ledger.key = name.key
