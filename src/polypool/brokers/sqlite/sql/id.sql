-- The id of a message whose body cannot say it.
-- Tables: task. :seq. Result: the id.
SELECT id FROM task WHERE seq = :seq
