-- Forget endings whose time to live is over, a batch at a time.
-- Tables: ending, event, trimmed, mark, task, gone. $1 now, $2 how many. Result: how many it was.
WITH over AS (
    DELETE FROM polypool.ending
    WHERE ctid = ANY (ARRAY(SELECT ctid FROM polypool.ending WHERE keep_until <= $1::float8
                            ORDER BY keep_until LIMIT $2::bigint FOR UPDATE SKIP LOCKED))
    RETURNING seq
), events AS (
    DELETE FROM polypool.event USING over WHERE event.seq = over.seq
), cuts AS (
    DELETE FROM polypool.trimmed USING over WHERE trimmed.seq = over.seq
), marks AS (
    DELETE FROM polypool.mark USING over WHERE mark.seq = over.seq
), tasks AS (
    DELETE FROM polypool.task USING over WHERE task.seq = over.seq
), copies AS (
    DELETE FROM polypool.gone
    WHERE ctid = ANY (ARRAY(SELECT ctid FROM polypool.gone WHERE until <= $1::float8
                            ORDER BY until LIMIT $2::bigint FOR UPDATE SKIP LOCKED))
)
SELECT count(*) FROM over
