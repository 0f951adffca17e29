-- From the tables of version 2 to those of version 3: messages may wait for others.
-- Tables: task, mark, worker. Run in one transaction with the writing of the version. Processes of the former release that have
-- the file open may still send; their workers are refused, with words, since they would end steps and tell nobody: none of them
-- has a lease from here on, and whoever beats next puts back what they held.
ALTER TABLE task ADD COLUMN waits INTEGER;
ALTER TABLE task ADD COLUMN cause BLOB;
CREATE INDEX task_waiting ON task (lane) WHERE state = 'waiting';
CREATE TABLE mark (
    seq  INTEGER NOT NULL,
    span INTEGER NOT NULL,
    bits INTEGER NOT NULL,
    PRIMARY KEY (seq, span)
) WITHOUT ROWID;
ALTER TABLE worker ADD COLUMN release INTEGER;
UPDATE worker SET lease_until = 0;
CREATE TRIGGER worker_is_of_this_release BEFORE INSERT ON worker WHEN NEW.release IS NOT 3
BEGIN SELECT RAISE(ABORT, 'a newer polypool has brought this file up to date (schema 3); restart this worker with that release'); END
