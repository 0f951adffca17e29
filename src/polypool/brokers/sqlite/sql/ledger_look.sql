-- Rows of one kind whose key begins so, in their order.
-- Tables: ledger. :kind, :prefix, :limit, :now. Result: whole rows. Reads only.
SELECT kind, key, holder, body, over_at FROM ledger
WHERE kind = :kind AND key >= :prefix AND key < :prefix || char(1114111) AND (over_at IS NULL OR over_at > :now)
ORDER BY key LIMIT :limit
