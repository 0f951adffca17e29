-- End messages that wait. Run in the transaction that locked them.
-- Tables: live, ending. $1 seqs, $2 state, $3 keep_until, $4 bodies: an array each but the state; $5 what to tell.
WITH gone AS (
    DELETE FROM polypool.live USING unnest($1::bigint[], $3::float8[], $4::bytea[]) AS given (seq, keep_until, body)
    WHERE live.seq = given.seq
    RETURNING live.seq, live.token, given.keep_until, given.body
), written AS (
    INSERT INTO polypool.ending (seq, state, token, keep_until, body)
    SELECT seq, $2::text, token, keep_until, body FROM gone
)
SELECT seq, (SELECT count(pg_notify('polypool:results', told)) FROM unnest($5::text[]) AS told) FROM gone
