-- The first tables. What changes often is kept small and apart from what is large, so that vacuum has little to do.
--
-- lane      a number for each (queue, pool).
-- worker    who has beaten; `run` tells a worker's process from an earlier one of the same name.
-- task      what was sent, from its acceptance until its ending is forgotten; written once, changed only by a retry.
--           `seq` is its place in the line and the handle of its deliveries.
-- live      where a task that has not ended stands: small rows, changed at each take, deleted at the end.
-- ending    how a task ended, until `keep_until` (null: a dead letter, `reason` says why); written once.
-- event     the streams; `body` is the Event as MessagePack. trimmed: where a stream's kept history begins.
-- tally     what was measured, merged, per task and pool.

CREATE TABLE polypool.lane (
    id    integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    queue text COLLATE "C" NOT NULL,
    pool  text COLLATE "C" NOT NULL,
    UNIQUE (queue, pool)
);

CREATE TABLE polypool.worker (
    id          integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name        text COLLATE "C" NOT NULL UNIQUE,
    run         text    NOT NULL,
    heartbeat   bytea   NOT NULL,
    lease_until float8  NOT NULL,
    seen_at     float8  NOT NULL,
    is_dead     boolean NOT NULL DEFAULT false
) WITH (fillfactor = 50);

CREATE TABLE polypool.task (
    seq      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id       text COLLATE "C" NOT NULL UNIQUE,
    task     text    NOT NULL,
    lane     integer NOT NULL,
    priority integer NOT NULL,
    due      float8  NOT NULL,
    body     bytea
);

-- Vacuumed after so many changes, not after a share of the table: it is nearly empty when vacuum matters most.
CREATE TABLE polypool.live (
    seq          bigint  PRIMARY KEY,
    lane         integer NOT NULL,
    state        text    NOT NULL,
    priority     integer NOT NULL,
    due          float8  NOT NULL,
    token        bigint  NOT NULL DEFAULT 0,
    deliveries   integer NOT NULL DEFAULT 0,
    worker       integer,
    is_cancelled boolean NOT NULL DEFAULT false
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000,
        autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 20000, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX live_queued    ON polypool.live (lane, priority DESC, seq) WHERE state = 'queued';
CREATE INDEX live_scheduled ON polypool.live (due) WHERE state = 'scheduled';
CREATE INDEX live_running   ON polypool.live (worker) WHERE state = 'running';

CREATE TABLE polypool.ending (
    seq        bigint PRIMARY KEY,
    state      text   NOT NULL,
    token      bigint NOT NULL,
    keep_until float8,
    reason     text,
    body       bytea  NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX ending_kept ON polypool.ending (keep_until) WHERE keep_until IS NOT NULL;
CREATE INDEX ending_dead ON polypool.ending (seq) WHERE reason IS NOT NULL;

CREATE TABLE polypool.event (
    seq    bigint  NOT NULL,
    run    bigint  NOT NULL,
    number bigint  NOT NULL,
    body   bytea   NOT NULL,
    PRIMARY KEY (seq, run, number)
) WITH (autovacuum_vacuum_scale_factor = 0.05);

CREATE TABLE polypool.trimmed (
    seq    bigint PRIMARY KEY,
    run    bigint NOT NULL,
    number bigint NOT NULL
);

CREATE TABLE polypool.tally (
    task text COLLATE "C" NOT NULL,
    pool text COLLATE "C" NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (task, pool)
) WITH (fillfactor = 50);
