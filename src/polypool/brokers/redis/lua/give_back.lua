-- Purpose: return what a take brought that reached nobody (cancelled, or its answer was lost): uncounted, in its old place.
-- Keys: held, task, wait, asked, hungry. Arguments: now, worker's name, the client's name, then the numbers of the takes.
-- Result: how many messages. Atomic, so that none of them is in no place at all; doing it twice changes nothing.
local worker, count = call('HGET', P .. 'names', ARGV[2]), 0
if worker then
  local given_up = 'up to:' .. ARGV[3]
  for at = 4, #ARGV do
    local ids = call('ZRANGEBYSCORE', P .. 'held:' .. worker, ARGV[at], ARGV[at])
    let_go(worker, ids, true)
    if tonumber(ARGV[at]) > tonumber(call('HGET', P .. 'worker:' .. worker, given_up) or 0) then
      call('HSET', P .. 'worker:' .. worker, given_up, ARGV[at])
    end
    count = count + #ids
  end
end
publish()
return count
