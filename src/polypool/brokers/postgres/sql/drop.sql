-- A part of other statements: messages that wait and are not needed (`change`, see release.sql) go as if never sent.
-- Tables: live, event, mark, task. Result: none.
dropped AS (
    DELETE FROM polypool.live USING change WHERE live.seq = change.seq AND way = 'drop' RETURNING live.seq
), dropped_events AS (
    DELETE FROM polypool.event USING dropped WHERE event.seq = dropped.seq
), dropped_marks AS (
    DELETE FROM polypool.mark USING dropped WHERE mark.seq = dropped.seq
), dropped_tasks AS (
    DELETE FROM polypool.task USING dropped WHERE task.seq = dropped.seq
)
