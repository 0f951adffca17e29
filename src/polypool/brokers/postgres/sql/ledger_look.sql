-- Rows of one kind whose key begins so, in their order.
-- Tables: ledger. $1 kind, $2 prefix, $3 how many, $4 now. Result: whole rows. Reads only.
SELECT kind, key, holder, body, over_at FROM polypool.ledger
WHERE kind = $1 AND key >= $2::text AND key < $2::text || chr(1114111) AND (over_at IS NULL OR over_at > $4::float8)
ORDER BY key LIMIT $3::integer
