-- A part of other statements: changes to messages that wait stand in `change` (seq, fresh: places marked now, kind: 'break'
-- or null, cause, sealed: how many places it waits for, told now); at a `moment` (now).
-- Result: `moved` (state). What has all of its places marked, or is broken, goes to its lane or waits there for its time.
-- Tables: live.
moved AS (
    UPDATE polypool.live
    SET state = CASE WHEN kind = 'break' THEN 'queued'
                     WHEN marked + fresh >= coalesce(waits, sealed)
                     THEN CASE WHEN greatest(due, now - due) > now THEN 'scheduled' ELSE 'queued' END
                     ELSE 'waiting' END,
        due = CASE WHEN kind = 'break' THEN now
                   WHEN marked + fresh >= coalesce(waits, sealed) THEN greatest(now, due, now - due)
                   ELSE due END,
        waits = coalesce(waits, sealed), marked = marked + fresh, cause = change.cause
    FROM change, moment
    WHERE live.seq = change.seq AND live.state = 'waiting'
    RETURNING live.state
)
