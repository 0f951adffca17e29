-- From the tables of version 1 to those of version 2: another engine may carry messages.
-- Tables: task, gone. Run in one transaction with the writing of the version; a process that has the file open goes on.
ALTER TABLE task ADD COLUMN guard REAL;
CREATE INDEX task_parked ON task (guard, lane, due) WHERE state = 'parked';
CREATE TABLE gone (
    id    TEXT PRIMARY KEY,
    until REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX gone_until ON gone (until)
