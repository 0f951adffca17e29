-- What a worker would find, without a lock: keeps an idle worker from asking for the write lock.
-- Tables: task, worker. :lanes: JSON of lane numbers, :worker: its name, :now.
-- Result: the worker's number (NULL: not alive), JSON of lanes where something waits,
-- the next times at which a delay, a guard (what is parked and unconfirmed) and a lease end.
SELECT (SELECT id FROM worker WHERE name = :worker AND NOT is_dead AND lease_until > :now),
       (SELECT json_group_array(value)
        FROM json_each(:lanes) AS wanted
        WHERE EXISTS (SELECT 1 FROM task WHERE state = 'queued' AND lane = wanted.value)),
       (SELECT min(due) FROM task WHERE state = 'scheduled'),
       (SELECT min(guard) FROM task WHERE state = 'parked'),
       (SELECT min(lease_until) FROM worker WHERE NOT is_dead)
