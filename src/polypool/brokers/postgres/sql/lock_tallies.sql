-- Let one worker at a time add to the tallies, until its transaction ends.
-- No tables. The number is that of the schema, so that two apps in one database do not wait for each other.
SELECT pg_advisory_xact_lock(1886350445, 'polypool.tally'::regclass::oid::integer)
