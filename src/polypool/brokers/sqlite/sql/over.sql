-- Endings whose time to live is over, a batch at a time.
-- Tables: task. :now, :limit. Result: JSON of seqs.
SELECT json_group_array(seq) FROM (SELECT seq FROM task WHERE keep_until <= :now ORDER BY keep_until LIMIT :limit)
