-- Parked messages are carried, durably: they have no guard any more.
-- Tables: task. :ids: JSON, :now. What is not parked, or due to be in its lane, is left as it is.
UPDATE task SET guard = 9e999
WHERE id IN (SELECT value FROM json_each(:ids)) AND state = 'parked' AND guard > :now
