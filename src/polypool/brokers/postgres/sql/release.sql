-- A part of other statements: changes to messages that wait, locked, stand in `change` (seq, fresh: places marked now, sealed:
-- how many places it waits for, told now; way: 'ready', 'break', 'drop' or null; cause: which of the causes, counted from 1),
-- at a `moment` (now, causes).
-- Result: `moved` (state). What is ready goes to its lane or waits for its time, what is broken goes to its lane.
-- Tables: live.
moved AS (
    UPDATE polypool.live
    SET state = CASE way WHEN 'ready' THEN CASE WHEN greatest(due, now - due) > now THEN 'scheduled' ELSE 'queued' END
                         WHEN 'break' THEN 'queued' ELSE 'waiting' END,
        due = CASE way WHEN 'ready' THEN greatest(now, due, now - due) WHEN 'break' THEN now ELSE due END,
        waits = coalesce(waits, sealed), marked = marked + fresh, cause = CASE way WHEN 'break' THEN causes[change.cause] END
    FROM change, moment
    WHERE live.seq = change.seq AND (way = 'drop') IS NOT TRUE
    RETURNING live.state
)
