-- Tell messages that wait what endings mean to them. Run in the transaction that writes those endings.
-- Tables: task, live, mark, event. $1 ids, $2 kinds, $3 places, $4 causes: an array each; $5 now; $6 what to tell those who wait for
-- results. Rings for work.
WITH moment AS (
    SELECT $5::float8 AS now
), said AS (
    SELECT id, kind, place, cause, number
    FROM unnest($1::text[], $2::text[], $3::integer[], $4::bytea[])
         WITH ORDINALITY AS said (id, kind, place, cause, number)
), /* aim.sql */, /* signal.sql */, /* drop.sql */
SELECT (SELECT count(pg_notify('polypool:results', told)) FROM unnest($6::text[]) AS told),
       (SELECT pg_notify('polypool:work', '') WHERE EXISTS (SELECT FROM moved WHERE state <> 'waiting'))
