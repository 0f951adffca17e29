-- Delete messages with all that belongs to them.
-- Tables: live, ending, event, trimmed, mark, task. $1 seqs, $2 what to tell those who wait. Result: how many there were.
WITH lives AS (DELETE FROM polypool.live WHERE seq = ANY ($1::bigint[])),
     endings AS (DELETE FROM polypool.ending WHERE seq = ANY ($1::bigint[])),
     events AS (DELETE FROM polypool.event WHERE seq = ANY ($1::bigint[])),
     cuts AS (DELETE FROM polypool.trimmed WHERE seq = ANY ($1::bigint[])),
     marks AS (DELETE FROM polypool.mark WHERE seq = ANY ($1::bigint[])),
     tasks AS (DELETE FROM polypool.task WHERE seq = ANY ($1::bigint[]) RETURNING seq)
SELECT count(*), (SELECT count(pg_notify('polypool:results', told)) FROM unnest($2::text[]) AS told) FROM tasks
