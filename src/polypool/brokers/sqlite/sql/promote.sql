-- Delays that have ended: the messages stand in line again, in their old places.
-- Tables: task. :now. At most 2,000 at a time, so that no transaction lasts.
UPDATE task SET state = 'queued'
WHERE seq IN (SELECT seq FROM task WHERE state = 'scheduled' AND due <= :now ORDER BY due LIMIT 2000)
