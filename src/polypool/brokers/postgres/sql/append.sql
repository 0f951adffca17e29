-- Add events to their streams; twice the same counts once, those of unknown tasks and those that come too late are dropped.
-- Tables: event, task, trimmed. $1 ids, $2 runs, $3 numbers, $4 bodies: an array each; $5 what to tell those who follow.
WITH added AS (
    INSERT INTO polypool.event (seq, run, number, body)
    SELECT task.seq, given.run, given.number, given.body
    FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bytea[]) AS given (id, run, number, body)
    JOIN polypool.task ON task.id = given.id
    LEFT JOIN polypool.trimmed ON trimmed.seq = task.seq
    WHERE trimmed.seq IS NULL OR (given.run, given.number) > (trimmed.run, trimmed.number)
    ON CONFLICT DO NOTHING
)
SELECT count(pg_notify('polypool:results', told)) FROM unnest($5::text[]) AS told
