-- Drop large bodies of messages that have ended; small ones stay until the ending is forgotten, which costs less than a write.
-- Tables: task. $1 seqs.
UPDATE polypool.task SET body = NULL WHERE seq = ANY ($1::bigint[])
