-- Give dead letters their runs back.
-- Tables: ending, live, task. $1 seqs, $2 now. Result: the seqs that were dead letters. Rings for work.
WITH risen AS (
    DELETE FROM polypool.ending WHERE seq = ANY ($1::bigint[]) AND reason IS NOT NULL RETURNING seq, token
), waiting AS (
    INSERT INTO polypool.live (seq, lane, state, priority, due, token)
    SELECT risen.seq, task.lane, 'queued', task.priority, $2::float8, risen.token
    FROM risen JOIN polypool.task ON task.seq = risen.seq
)
SELECT seq, (SELECT pg_notify('polypool:work', '')) FROM risen
