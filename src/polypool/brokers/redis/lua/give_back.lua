-- Purpose: return what a take brought that reached nobody (cancelled, or its answer was lost): uncounted, in its old place.
-- Keys: held, task, wait, asked, hungry. Arguments: now, worker's name, then the numbers of the takes.
-- Result: how many messages. Atomic, so that none of them is in no place at all; doing it twice changes nothing.
local worker, count = call('HGET', P .. 'names', ARGV[2]), 0
if worker then
  for at = 3, #ARGV do
    local ids = call('ZRANGEBYSCORE', P .. 'held:' .. worker, ARGV[at], ARGV[at])
    let_go(worker, ids, true)
    count = count + #ids
  end
end
publish()
return count
