-- End runs of which nothing is to be kept.
-- Tables: live, task, event, trimmed, mark. $1 seqs, $2 tokens, every pair once; $3 what to tell those who wait for results.
-- Result: the (seq, token) that were held. Fenced by (seq, token, running).
WITH gone AS (
    DELETE FROM polypool.live USING unnest($1::bigint[], $2::bigint[]) AS given (seq, token)
    WHERE live.seq = given.seq AND live.token = given.token AND live.state || '' = 'running'
    RETURNING live.seq, live.token
), events AS (
    DELETE FROM polypool.event USING gone WHERE event.seq = gone.seq
), cuts AS (
    DELETE FROM polypool.trimmed USING gone WHERE trimmed.seq = gone.seq
), marks AS (
    DELETE FROM polypool.mark USING gone WHERE mark.seq = gone.seq
), tasks AS (
    DELETE FROM polypool.task USING gone WHERE task.seq = gone.seq
)
SELECT seq, token, (SELECT count(pg_notify('polypool:results', told)) FROM unnest($3::text[]) AS told) FROM gone
