-- Let one at a time change the ledger, until its transaction ends.
-- No tables. The number is that of the schema, so that two apps in one database do not wait for each other.
SELECT pg_advisory_xact_lock(1886350445, 'polypool.ledger'::regclass::oid::integer)
