-- Remove the beginnings of streams of messages that are gone.
-- Tables: trimmed. :seqs: JSON. Run in the transaction that deletes their rows.
DELETE FROM trimmed WHERE seq IN (SELECT value FROM json_each(:seqs))
