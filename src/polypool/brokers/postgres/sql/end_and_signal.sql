-- Write how runs ended, as end.sql does, and what that means to those that waited for them.
-- Tables: live, ending, task, mark, event. $1 to $7 as in end.sql; $8 to $13 the signals, an array each: seqs and tokens of the
-- runs they come from, ids they go to, kinds, places, numbers of causes in $14, counted from 1; $15 now. Result: as of end.sql. Signals of a run that is not
-- held any more go nowhere. Rings for work. One statement: nothing can come between an ending and what follows it.
WITH gone AS (
    DELETE FROM polypool.live
    USING unnest($1::bigint[], $2::bigint[], $3::text[], $4::float8[], $5::text[], $6::bytea[])
          AS given (seq, token, state, keep_until, reason, body)
    WHERE live.seq = given.seq AND live.token = given.token AND live.state || '' = 'running'
    RETURNING live.seq, live.token, given.state, given.keep_until, given.reason, given.body
), written AS (
    INSERT INTO polypool.ending (seq, state, token, keep_until, reason, body)
    SELECT seq, state, token, keep_until, reason, body FROM gone
), moment AS (
    SELECT $15::float8 AS now, $14::bytea[] AS causes
), said AS (
    SELECT id, kind, place, cause, number
    FROM unnest($8::bigint[], $9::bigint[], $10::text[], $11::text[], $12::integer[], $13::integer[])
         WITH ORDINALITY AS said (seq, token, id, kind, place, cause, number)
    -- IS TRUE: so it is looked up in a table made once, and not row by row.
    WHERE ((seq, token) IN (SELECT seq, token FROM gone)) IS TRUE
), /* aim.sql */, /* signal.sql */, /* drop.sql */
SELECT seq, token, (SELECT count(pg_notify('polypool:results', told)) FROM unnest($7::text[]) AS told),
       (SELECT pg_notify('polypool:work', '') WHERE EXISTS (SELECT FROM moved WHERE state <> 'waiting'))
FROM gone
