-- Another engine may carry messages: they are parked here meanwhile. And takes are known by number.
--
-- live.guard       when a parked one goes to its lane; infinity: its carrying was confirmed, it stays parked.
-- live.take        the number of the take that claimed it last: what takes brought that reached nobody is given back.
-- task.is_carried  copies of it may come at any time: it was parked when it was accepted.
-- gone             messages that were cancelled or purged though copies of them may still come: those are not to run,
--                  whenever they come until then.

ALTER TABLE polypool.live ADD COLUMN guard float8, ADD COLUMN take bigint;
CREATE INDEX live_parked ON polypool.live (guard) WHERE state = 'parked';
ALTER TABLE polypool.task ADD COLUMN is_carried boolean NOT NULL DEFAULT false;

CREATE TABLE polypool.gone (
    id    text COLLATE "C" PRIMARY KEY,
    until float8 NOT NULL
);
CREATE INDEX gone_until ON polypool.gone (until);
