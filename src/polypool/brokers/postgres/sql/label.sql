-- What is known of a message whose body cannot say it.
-- Tables: task, lane. $1 seq, $2 lane. Result: id, queue, pool.
SELECT task.id, queue, pool FROM polypool.task JOIN polypool.lane ON lane.id = $2 WHERE task.seq = $1
