-- A large ending by itself.
-- Tables: task. :seq. Result: the ending.
SELECT ending FROM task WHERE seq = :seq
