-- Hand picked messages to a worker: each take raises the token and the delivery count.
-- Tables: task. :seqs: JSON, :worker.
UPDATE task
SET state = 'running', worker = :worker, token = token + 1, deliveries = deliveries + 1
WHERE seq IN (SELECT value FROM json_each(:seqs))
