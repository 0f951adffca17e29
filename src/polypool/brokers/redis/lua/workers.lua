-- Purpose: the workers and how much each holds.
-- Keys: known, worker, leases, held. Arguments: now. Result: number, heartbeat, seen at, 1 if alive, holds of each.
-- One moment for all of them. Reads only.
local answer, known = {}, call('ZRANGE', P .. 'known', 0, -1, 'WITHSCORES')
for at = 1, #known, 2 do
  local worker = known[at]
  local lease = tonumber(call('ZSCORE', P .. 'leases', worker) or 0)
  answer[#answer + 1] = worker
  answer[#answer + 1] = call('HGET', P .. 'worker:' .. worker, 'beat')
  answer[#answer + 1] = known[at + 1]
  answer[#answer + 1] = lease > now and 1 or 0
  answer[#answer + 1] = call('HLEN', P .. 'held:' .. worker)
end
return answer
