-- Say for how many places a message waits of which that was not known; if they are all marked it goes to its lane.
-- Tables: task, live. $1 id, $2 places, $3 now. Result: a row if it still waits, or did until now. Rings for work.
WITH moment AS (
    SELECT $3::float8 AS now, NULL::bytea[] AS causes
), change AS MATERIALIZED (
    SELECT live.seq, 0 AS fresh, $2::integer AS sealed, NULL::integer AS cause,
           CASE WHEN live.marked >= coalesce(live.waits, $2::integer) THEN 'ready' END AS way
    FROM polypool.task JOIN polypool.live ON live.seq = task.seq
    WHERE task.id = $1 AND live.state = 'waiting'
    FOR UPDATE OF live
), /* release.sql */
SELECT state, (SELECT pg_notify('polypool:work', '') WHERE state <> 'waiting') FROM moved
