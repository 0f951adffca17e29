-- Which of some messages are unknown here, though copies of them came: neither there, nor cancelled or purged while they
-- were carried.
-- Tables: task, ending, gone. $1 ids, $2 now. Result: rows of id.
SELECT given.id
FROM unnest($1::text[]) AS given (id)
WHERE NOT EXISTS (SELECT FROM polypool.task LEFT JOIN polypool.ending ON ending.seq = task.seq
                  WHERE task.id = given.id AND (ending.keep_until <= $2::float8) IS NOT TRUE)
  AND NOT EXISTS (SELECT FROM polypool.gone WHERE gone.id = given.id AND gone.until > $2::float8)
