-- A large body by itself.
-- Tables: task. :seq. Result: the body.
SELECT body FROM task WHERE seq = :seq
