-- Cut streams back to the newest events, and remember where each begins.
-- Tables: event, trimmed, task. $1 ids, $2 how many stay.
WITH mark AS (
    INSERT INTO polypool.trimmed (seq, run, number)
    SELECT task.seq, oldest.run, oldest.number
    FROM polypool.task CROSS JOIN LATERAL (
        SELECT run, number FROM polypool.event WHERE event.seq = task.seq
        ORDER BY run DESC, number DESC LIMIT 1 OFFSET $2::bigint
    ) AS oldest
    WHERE task.id = ANY ($1::text[])
    ON CONFLICT (seq) DO UPDATE SET run = excluded.run, number = excluded.number
    RETURNING seq, run, number
)
DELETE FROM polypool.event USING mark
WHERE event.seq = mark.seq AND (event.run, event.number) <= (mark.run, mark.number)
