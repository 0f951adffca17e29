-- Holders whose lease has ended, and what they hold.
-- Tables: ledger. :now. Result: whole rows. Run in the transaction that gives it back.
SELECT kind, key, holder, body, over_at FROM ledger WHERE kind = 'holder' AND over_at <= :now
UNION ALL
SELECT held.kind, held.key, held.holder, held.body, held.over_at
FROM ledger AS lapsed CROSS JOIN ledger AS held ON held.holder = lapsed.key
WHERE lapsed.kind = 'holder' AND lapsed.over_at <= :now
