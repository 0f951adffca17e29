-- How much stands in each lane, and since when.
-- Tables: task, lane. Result: rows of queue, pool, queued, scheduled, running, oldest. Reads indexes only.
SELECT queue, pool, sum(queued), sum(scheduled), sum(running), min(oldest)
FROM (SELECT lane, count(*) AS queued, 0 AS scheduled, 0 AS running, min(due) AS oldest
      FROM task WHERE state = 'queued' GROUP BY lane
      UNION ALL SELECT lane, count(*), 0, 0, min(due) FROM task WHERE state = 'parked' GROUP BY lane
      UNION ALL SELECT lane, 0, count(*), 0, NULL FROM task WHERE state = 'scheduled' GROUP BY lane
      UNION ALL SELECT lane, 0, count(*), 0, NULL FROM task WHERE state = 'waiting' GROUP BY lane
      UNION ALL SELECT lane, 0, 0, count(*), NULL FROM task WHERE state = 'running' GROUP BY lane) AS counted
JOIN lane ON lane.id = counted.lane
GROUP BY queue, pool ORDER BY queue, pool
