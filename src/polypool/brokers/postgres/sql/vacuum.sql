-- Let the room of messages that have ended be used again, before the next one that takes must step over their traces.
-- Tables: live. The server does the same once a minute at best; a busy worker ends a million in that time.
VACUUM (SKIP_LOCKED, INDEX_CLEANUP ON, TRUNCATE OFF, PARALLEL 0) polypool.live
