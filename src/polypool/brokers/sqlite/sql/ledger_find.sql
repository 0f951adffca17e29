-- Rows of the ledger by kind and key.
-- Tables: ledger. :names: JSON, pairs. Result: whole rows. Run in the transaction that changes them.
SELECT ledger.kind, ledger.key, holder, body, over_at
FROM json_each(:names) AS name
CROSS JOIN ledger ON ledger.kind = json_extract(name.value, '$[0]') AND ledger.key = json_extract(name.value, '$[1]')
