-- How much stands in each lane, and since when.
-- Tables: live, lane. Result: rows of queue, pool, queued, scheduled, running, oldest.
SELECT queue, pool, count(*) FILTER (WHERE state IN ('queued', 'parked')),
       count(*) FILTER (WHERE state IN ('scheduled', 'waiting')), count(*) FILTER (WHERE state = 'running'),
       min(due) FILTER (WHERE state IN ('queued', 'parked'))
FROM polypool.live JOIN polypool.lane ON lane.id = live.lane
GROUP BY queue, pool ORDER BY queue, pool
