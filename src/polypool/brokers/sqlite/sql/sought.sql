-- Messages that people want something done with, as they are now; no more than their places, since they may be millions.
-- Tables: task, lane. What the conditions from inspector.py name. Result: JSON of seqs, the newest first.
SELECT json_group_array(seq)
FROM (SELECT seq FROM task JOIN lane ON lane.id = task.lane
      WHERE /* conditions */ true
      ORDER BY seq DESC)
