-- Put back what workers hold: the next take raises the token, the delivery count stays.
-- Tables: task. :workers: JSON of numbers. Run in the transaction that found them dead.
UPDATE task SET state = 'queued', worker = NULL
WHERE state = 'running' AND worker IN (SELECT value FROM json_each(:workers))
