-- Say for how many places a message waits of which that was not known; if they are all marked it goes to its lane.
-- Tables: task, live. $1 id, $2 places, $3 now. Result: a row if it still waits, or did until now. Rings for work.
WITH moment AS (
    SELECT $3::float8 AS now
), change AS (
    SELECT seq, 0 AS fresh, NULL AS kind, NULL::bytea AS cause, $2::integer AS sealed FROM polypool.task WHERE id = $1
), /* release.sql */
SELECT state, (SELECT pg_notify('polypool:work', '') WHERE state <> 'waiting') FROM moved
