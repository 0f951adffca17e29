-- Accept messages within a transaction of the sender's own, in one step with whatever driver it has.
-- Tables: lane, task, live. $1 ids (each once), $2 tasks, $3 queues, $4 pools, $5 priorities, $6 dues (null: now),
-- $7 bodies, $8 how many places each waits for (see accept.sql), an array each; $9 the database this must be, empty for any.
-- Result: rows of a word and a name: `new` and an id for each that was new, `lane` if a lane has no number yet and
-- therefore nothing was written, `database` and its name. Rings for work, which is heard at the commit.
WITH wanted AS MATERIALIZED (
    SELECT given.*, lane.id AS lane
    FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::integer[],
                $6::float8[], $7::bytea[], $8::integer[])
         WITH ORDINALITY AS given (id, task, queue, pool, priority, due, body, waits, place)
    LEFT JOIN polypool.lane ON lane.queue = given.queue AND lane.pool = given.pool
), moment AS (
    SELECT extract(epoch FROM clock_timestamp())::float8 AS now
), given AS (
    SELECT id, task, lane, priority, coalesce(due, (SELECT now FROM moment)) AS due, body, waits, place
    FROM wanted
    WHERE $9::text IN ('', current_database()) AND NOT EXISTS (SELECT FROM wanted WHERE lane IS NULL)
), /* accept.sql */
SELECT 'new' AS word, id::text AS name, rung FROM told
UNION ALL (SELECT 'lane', queue::text, NULL FROM wanted WHERE lane IS NULL LIMIT 1)
UNION ALL SELECT 'database', current_database()::text, NULL
