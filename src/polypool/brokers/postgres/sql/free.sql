-- Forget those of some messages whose ending's time to live is over: their ids are free, though nobody has swept yet.
-- Tables: task, ending, event, trimmed, mark. $1 ids, $2 now. Result: the ids that are free now.
WITH over AS (
    DELETE FROM polypool.ending USING polypool.task
    WHERE task.id = ANY ($1::text[]) AND ending.seq = task.seq AND ending.keep_until <= $2::float8
    RETURNING ending.seq
), events AS (
    DELETE FROM polypool.event USING over WHERE event.seq = over.seq
), cuts AS (
    DELETE FROM polypool.trimmed USING over WHERE trimmed.seq = over.seq
), marks AS (
    DELETE FROM polypool.mark USING over WHERE mark.seq = over.seq
), tasks AS (
    DELETE FROM polypool.task USING over WHERE task.seq = over.seq RETURNING task.id
)
SELECT id FROM tasks
