-- Another engine may carry messages: they are parked here meanwhile. Takes are known by number. There is a
-- ledger.
--
-- live.guard       when a parked one goes to its lane; infinity: its carrying was confirmed, it stays parked.
-- live.take        the number of the take that claimed it last: what takes brought that reached nobody is given back.
-- task.is_carried  copies of it may come at any time: it was parked when it was accepted.
-- gone             messages that were cancelled or purged though copies of them may still come: those are not to run,
--                  whenever they come until then.
-- ledger           what limits, unique keys and ticks count: rows of the kinds in brokers/ledger/account.py. `body` is JSON;
--                  `holder`: of a granted reservation, who holds it; `over_at`: when nobody needs the row any more, of a
--                  holder the end of its lease.

ALTER TABLE polypool.live ADD COLUMN guard float8, ADD COLUMN take bigint;
CREATE INDEX live_parked ON polypool.live (guard) WHERE state = 'parked';
ALTER TABLE polypool.task ADD COLUMN is_carried boolean NOT NULL DEFAULT false;

CREATE TABLE polypool.gone (
    id    text COLLATE "C" PRIMARY KEY,
    until float8 NOT NULL
);
CREATE INDEX gone_until ON polypool.gone (until);

CREATE TABLE polypool.ledger (
    kind    text COLLATE "C" NOT NULL,
    key     text COLLATE "C" NOT NULL,
    holder  text COLLATE "C",
    body    text NOT NULL,
    over_at float8,
    PRIMARY KEY (kind, key)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
        autovacuum_vacuum_cost_delay = 0);
CREATE INDEX ledger_held ON polypool.ledger (holder) WHERE holder IS NOT NULL;
CREATE INDEX ledger_over ON polypool.ledger (kind, over_at) WHERE over_at IS NOT NULL;
