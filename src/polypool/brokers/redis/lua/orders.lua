-- Purpose: what a worker holds and is asked to cancel.
-- Keys: names, asked. Arguments: now, worker's name. Result: ids. Reads only.
local worker = call('HGET', P .. 'names', ARGV[2])
return worker and call('SMEMBERS', P .. 'asked:' .. worker) or {}
