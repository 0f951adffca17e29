-- Accept messages; those whose id is known are left as they are.
-- Tables: task, live. $1 ids (each once), $2 tasks, $3 lanes, $4 priorities, $5 dues, $6 bodies, $7 how many places each waits
-- for (see accept.sql): an array each; $8 now. Result: the ids that were new. Rings for work. One statement: all or none.
WITH given AS (
    SELECT id, task, lane, priority, due, body, waits, place
    FROM unnest($1::text[], $2::text[], $3::integer[], $4::integer[], $5::float8[], $6::bytea[], $7::integer[])
         WITH ORDINALITY AS given (id, task, lane, priority, due, body, waits, place)
), moment AS (
    SELECT $8::float8 AS now
), /* accept.sql */
SELECT id, rung FROM told
