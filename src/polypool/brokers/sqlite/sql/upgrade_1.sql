-- From the tables of version 1 to those of version 2: another engine may carry messages, and there is a ledger.
-- Tables: task, gone, ledger. Run in one transaction with the writing of the version; a process that has the file open goes on.
ALTER TABLE task ADD COLUMN guard REAL;
CREATE INDEX task_parked ON task (guard, lane, due) WHERE state = 'parked';
CREATE TABLE gone (
    id    TEXT PRIMARY KEY,
    until REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX gone_until ON gone (until);
CREATE TABLE ledger (
    kind    TEXT NOT NULL,
    key     TEXT NOT NULL,
    holder  TEXT,
    body    TEXT NOT NULL,
    over_at REAL,
    PRIMARY KEY (kind, key)
) WITHOUT ROWID;
CREATE INDEX ledger_held ON ledger (holder) WHERE holder IS NOT NULL;
CREATE INDEX ledger_over ON ledger (kind, over_at) WHERE over_at IS NOT NULL
