-- Tell messages that wait what endings mean to them. Run in the transaction that writes those endings.
-- Tables: task, live, mark, event. $1 ids, $2 kinds, $3 places, $4 numbers of causes in $5, counted from 1: an array each;
-- $6 now; $7 what to tell those who wait for results. Rings for work.
WITH moment AS (
    SELECT $6::float8 AS now, $5::bytea[] AS causes
), said AS (
    SELECT id, kind, place, cause, number
    FROM unnest($1::text[], $2::text[], $3::integer[], $4::integer[])
         WITH ORDINALITY AS said (id, kind, place, cause, number)
), /* aim.sql */, /* signal.sql */, /* drop.sql */
SELECT (SELECT count(pg_notify('polypool:results', told)) FROM unnest($7::text[]) AS told),
       (SELECT pg_notify('polypool:work', '') WHERE EXISTS (SELECT FROM moved WHERE state <> 'waiting'))
