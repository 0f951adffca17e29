-- Steps of workflows: a message may wait for others, in no lane, until all of its places are marked.
--
-- live.state    'waiting': for other messages.
-- live.due      of one that waits: when it may run once nothing keeps it waiting; negative: so many seconds from then.
-- live.waits    of how many places all must be marked; null: not known yet (Broker.seal tells it). task.waits: as it was
--               put, -1 where it was not known; null: it waits for nobody.
-- live.marked   how many are.
-- live.cause    why a message that waited is only to be ended, encoded; comes with its deliveries.
-- mark          which places are marked, a bit each, so many in a row; of messages that wait for one place there is none.
--               `fresh`: how many of them the last change marked. Goes when its message's row in `task` does, or waits anew.

ALTER TABLE polypool.live ADD COLUMN waits integer, ADD COLUMN marked integer, ADD COLUMN cause bytea;
ALTER TABLE polypool.task ADD COLUMN waits integer;

CREATE TABLE polypool.mark (
    seq    bigint    NOT NULL,
    part   integer   NOT NULL,
    places bit(1024) NOT NULL,
    fresh  integer   NOT NULL,
    PRIMARY KEY (seq, part)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);
