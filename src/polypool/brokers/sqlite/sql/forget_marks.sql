-- Remove the marks of what waits no longer.
-- Tables: mark. :seqs: JSON. Run in the transaction that ends its waiting.
DELETE FROM mark WHERE seq IN (SELECT value FROM json_each(:seqs))
