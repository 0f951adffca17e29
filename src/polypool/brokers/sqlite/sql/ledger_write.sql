-- Write rows of the ledger over what was there.
-- Tables: ledger. :rows: JSON, of each kind, key, holder, body, over_at.
INSERT INTO ledger (kind, key, holder, body, over_at)
SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'), json_extract(value, '$[3]'),
       json_extract(value, '$[4]')
FROM json_each(:rows) WHERE true
ON CONFLICT (kind, key) DO UPDATE SET holder = excluded.holder, body = excluded.body, over_at = excluded.over_at
