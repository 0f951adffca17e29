-- Write how runs ended: the row of what lives goes, that of the ending comes.
-- Tables: live, ending. $1 seqs, $2 tokens, $3 states, $4 keep_until, $5 reasons, $6 bodies: an array each, every (seq, token)
-- once; $7 what to tell those who wait for results. Result: the (seq, token) that were held. Fenced by (seq, token, running).
-- The state is written so that the index of what runs cannot be used: on a small table it would be, for all that runs.
WITH gone AS (
    DELETE FROM polypool.live
    USING unnest($1::bigint[], $2::bigint[], $3::text[], $4::float8[], $5::text[], $6::bytea[])
          AS given (seq, token, state, keep_until, reason, body)
    WHERE live.seq = given.seq AND live.token = given.token AND live.state || '' = 'running'
    RETURNING live.seq, live.token, given.state, given.keep_until, given.reason, given.body
), written AS (
    INSERT INTO polypool.ending (seq, state, token, keep_until, reason, body)
    SELECT seq, state, token, keep_until, reason, body FROM gone
)
SELECT seq, token, (SELECT count(pg_notify('polypool:results', told)) FROM unnest($7::text[]) AS told) FROM gone
