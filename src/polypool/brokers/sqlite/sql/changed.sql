-- What ended or got events after a given transaction.
-- Tables: clock, task, event. :since. Result: the last number, JSON of ids, JSON of ids.
SELECT (SELECT changes FROM clock),
       (SELECT json_group_array(id) FROM task WHERE change > :since),
       (SELECT json_group_array(id) FROM task
        WHERE seq IN (SELECT DISTINCT seq FROM event WHERE change > :since))
