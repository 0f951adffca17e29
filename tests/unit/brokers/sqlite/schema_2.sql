-- Creates everything, in an empty file.
--
-- task    a message's whole life in one row. `seq` is its place in the line and the handle of its deliveries
--         (AUTOINCREMENT: never given twice, a settlement names a row by seq and token). `due` is when it may run
--         or might have run. `body` goes when it ended, except from dead letters. `ending` is MessagePack, see rows.py.
--         `guard`: null unless another engine ever carried it. A parked one whose guard runs out goes to its lane; infinity:
--         confirmed, it stays parked.
-- gone    ids of messages that were cancelled or purged while copies of them were carried: those are not to run, whenever they come.
-- lane    a number for each (queue, pool).
-- worker  who has beaten; `run` tells a worker's process from an earlier one of the same name.
-- tally   what was measured, merged, per task and pool.
-- event   the streams; `body` is the Event as MessagePack. trimmed: where a stream's kept history begins.
-- ledger  what limits, unique keys and ticks count: rows of the kinds in brokers/ledger/account.py. `body` is JSON; `holder`: of a
--         granted reservation, who holds it; `over_at`: when nobody needs the row any more, of a holder the end of its lease.
-- clock   counts the transactions that ended tasks or added events, so that whoever waits can ask "what since?".

CREATE TABLE task (
    seq          INTEGER PRIMARY KEY AUTOINCREMENT,
    id           TEXT    NOT NULL UNIQUE,
    task         TEXT    NOT NULL,
    lane         INTEGER NOT NULL,
    state        TEXT    NOT NULL,
    priority     INTEGER NOT NULL,
    due          REAL    NOT NULL,
    token        INTEGER NOT NULL DEFAULT 0,
    deliveries   INTEGER NOT NULL DEFAULT 0,
    worker       INTEGER,
    is_cancelled INTEGER NOT NULL DEFAULT 0,
    keep_until   REAL,
    change       INTEGER,
    reason       TEXT,
    ending       BLOB,
    body         BLOB,
    guard        REAL
);
CREATE INDEX task_queued    ON task (lane, priority DESC, seq, due) WHERE state = 'queued';
CREATE INDEX task_scheduled ON task (due, lane) WHERE state = 'scheduled';
CREATE INDEX task_running   ON task (worker, is_cancelled, lane) WHERE state = 'running';
CREATE INDEX task_parked    ON task (guard, lane, due) WHERE state = 'parked';
CREATE INDEX task_kept      ON task (keep_until) WHERE keep_until IS NOT NULL;
CREATE INDEX task_changed   ON task (change) WHERE change IS NOT NULL;
CREATE INDEX task_dead      ON task (seq) WHERE reason IS NOT NULL;

CREATE TABLE gone (
    id    TEXT PRIMARY KEY,
    until REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX gone_until ON gone (until);

CREATE TABLE lane (
    id    INTEGER PRIMARY KEY,
    queue TEXT NOT NULL,
    pool  TEXT NOT NULL,
    UNIQUE (queue, pool)
);

CREATE TABLE worker (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    name        TEXT NOT NULL UNIQUE,
    run         TEXT NOT NULL,
    heartbeat   BLOB NOT NULL,
    lease_until REAL NOT NULL,
    seen_at     REAL NOT NULL,
    is_dead     INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE tally (
    task TEXT NOT NULL,
    pool TEXT NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (task, pool)
) WITHOUT ROWID;

CREATE TABLE event (
    seq    INTEGER NOT NULL,
    run    INTEGER NOT NULL,
    number INTEGER NOT NULL,
    change INTEGER NOT NULL,
    body   BLOB    NOT NULL,
    PRIMARY KEY (seq, run, number)
) WITHOUT ROWID;
CREATE INDEX event_changed ON event (change);

CREATE TABLE trimmed (
    seq    INTEGER PRIMARY KEY,
    run    INTEGER NOT NULL,
    number INTEGER NOT NULL
);

CREATE TABLE ledger (
    kind    TEXT NOT NULL,
    key     TEXT NOT NULL,
    holder  TEXT,
    body    TEXT NOT NULL,
    over_at REAL,
    PRIMARY KEY (kind, key)
) WITHOUT ROWID;
CREATE INDEX ledger_held ON ledger (holder) WHERE holder IS NOT NULL;
CREATE INDEX ledger_over ON ledger (kind, over_at) WHERE over_at IS NOT NULL;

CREATE TABLE clock (changes INTEGER NOT NULL);
INSERT INTO clock VALUES (0);
