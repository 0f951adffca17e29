-- Another engine may carry messages: they are parked here meanwhile.
--
-- live.guard  null unless another engine ever carried it. A parked one whose guard runs out goes to its lane; infinity:
--             confirmed, it stays parked.
-- gone        messages that were cancelled or purged while copies of them were carried: those are not to run, whenever
--             they come until then.

ALTER TABLE polypool.live ADD COLUMN guard float8;
CREATE INDEX live_parked ON polypool.live (guard) WHERE state = 'parked';

CREATE TABLE polypool.gone (
    id    text COLLATE "C" PRIMARY KEY,
    until float8 NOT NULL
);
CREATE INDEX gone_until ON polypool.gone (until);
