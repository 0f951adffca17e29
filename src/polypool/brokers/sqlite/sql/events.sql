-- A stream's events after a cursor, in order.
-- Tables: event. :seq, :run, :number. Result: rows of body.
SELECT body FROM event WHERE seq = :seq AND (run, number) > (:run, :number) ORDER BY run, number
