-- End runs of which nothing is to be kept.
-- Tables: task. :rows: JSON [[seq, token], …]. Fenced by (seq, token, running); the count of rows tells.
DELETE FROM task
WHERE seq IN (SELECT held.seq
              FROM json_each(:rows) AS given
              JOIN task AS held ON held.seq = json_extract(given.value, '$[0]')
              WHERE held.token = json_extract(given.value, '$[1]') AND held.state = 'running')
