-- Forget rows of the ledger.
-- Tables: ledger. :names: JSON, pairs of kind and key.
DELETE FROM ledger
WHERE (kind, key) IN (SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(:names))
