-- Count workers as dead: each is told so by its next beat.
-- Tables: worker. :workers: JSON of numbers.
UPDATE worker SET is_dead = 1 WHERE id IN (SELECT value FROM json_each(:workers))
