-- Purpose: a holder goes on holding what it reserved. Keys: holders, terms, and those of meter.lua for what lapses.
-- Arguments: now, holder, lease in seconds. Result: 1, or 0 where its lease had ended or never began.
-- Atomic, so that a lease is not renewed after others were given what it covered.
tidy()
local was_known = call('ZSCORE', P .. 'holders', ARGV[2])
renew(ARGV[2], ARGV[3])
write_meters()
return was_known and 1 or 0
