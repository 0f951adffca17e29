-- What nobody alive claimed stands in line: nothing depends on its copies any more.
-- Tables: task. :seqs: JSON.
UPDATE task SET state = 'queued' WHERE state = 'parked' AND seq IN (SELECT value FROM json_each(:seqs))
