-- Purpose: return what a take brought that reached nobody (cancelled, or its answer was lost): uncounted, in its old place.
-- Keys: held, task, wait, asked, hungry, parked. Arguments: now, worker's name, the client's name, then the numbers of the takes.
-- Result: how many messages. Atomic, so that none of them is in no place at all; doing it twice changes nothing.
local worker, count = call('HGET', P .. 'names', ARGV[2]), 0
if worker then
  local given_up = 'up to:' .. ARGV[3]
  for at = 4, #ARGV do
    unpark(ARGV[3] .. ' ' .. ARGV[at])
    local ids, held = {}, call('HGETALL', P .. 'held:' .. worker)
    for place = 1, #held, 2 do
      if held[place + 1] == ARGV[at] then ids[#ids + 1] = held[place] end
    end
    let_go(worker, ids, true)
    if tonumber(ARGV[at]) > tonumber(call('HGET', P .. 'worker:' .. worker, given_up) or 0) then
      call('HSET', P .. 'worker:' .. worker, given_up, ARGV[at])
    end
    count = count + #ids
  end
end
publish()
return count
