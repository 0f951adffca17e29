-- Remove the streams of messages that are gone.
-- Tables: event. :seqs: JSON. Run in the transaction that deletes their rows.
DELETE FROM event WHERE seq IN (SELECT value FROM json_each(:seqs))
