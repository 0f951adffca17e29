-- Write rows of the ledger over what was there.
-- Tables: ledger. $1 kinds, $2 keys, $3 holders, $4 bodies, $5 over_at. Run under lock_ledger.
INSERT INTO polypool.ledger (kind, key, holder, body, over_at)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::float8[])
ON CONFLICT (kind, key) DO UPDATE SET holder = excluded.holder, body = excluded.body, over_at = excluded.over_at
