-- Purpose: accept messages; those whose id is known are left as they are.
-- Keys: task, wait, later, lanes, seq, hungry, parked. Arguments: now, fronts (see read_fronts), number of messages, messages (see add_all).
-- Result: the places of those that were refused.
-- Atomic, so that a message stands in its line exactly when its record is there.
local fronts, at = read_fronts(2)
local refused = add_all(fronts, at + 1, tonumber(ARGV[at]))
publish()
return refused
