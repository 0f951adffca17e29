-- Guards that have run out: nobody said that these are carried, so they stand in line, in their old places.
-- Tables: task. :now. At most 2,000 at a time, so that no transaction lasts.
UPDATE task SET state = 'queued'
WHERE seq IN (SELECT seq FROM task WHERE state = 'parked' AND guard <= :now ORDER BY guard LIMIT 2000)
