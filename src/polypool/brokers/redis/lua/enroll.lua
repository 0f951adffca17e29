-- Purpose: accept messages that another engine carries; those whose id is known are left as they are.
-- Keys: task, carried, later, lanes, seq, leases, hungry. Arguments: now, seconds after which those that nobody confirmed go to their lanes, then as
-- in put.lua. Result: the places of those that were refused. Atomic, so that a message is parked exactly when its record is there.
local fronts, at = read_fronts(3)
local refused = add_all(fronts, at + 1, tonumber(ARGV[at]), now + tonumber(ARGV[2]))
publish()
return refused
