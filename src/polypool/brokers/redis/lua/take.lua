-- Purpose: lease the first due messages of some lanes to a living worker, what dead workers held included.
-- Keys: task, wait, later, carried, held, asked, leases, hungry, parked. Arguments: now, worker's name, the client's name, the number of this take, limit,
-- 1 to be brought what comes where there is nothing now (to the channel that the client is named after), then the lanes in the order in which they
-- are emptied.
-- Result: now, seconds until another try may bring something (or empty), the lanes' numbers, then id and record (as it was before) of each.
-- Atomic, so that no message is held twice and none is in no place at all.
local worker = call('HGET', P .. 'names', ARGV[2])
local until_then = worker and call('ZSCORE', P .. 'leases', worker)
if until_then and tonumber(until_then) <= now then until_then = nil end
if until_then then reap() end
-- A take that its client has given up must not come into effect after it was given back.
local given_up = until_then and tonumber(call('HGET', P .. 'worker:' .. worker, 'up to:' .. ARGV[3]) or 0)
local answer = { string.format('%.6f', now), '', {} }
if not until_then or tonumber(ARGV[4]) <= given_up then
  publish()
  return answer
end
local limit, waits, numbers = tonumber(ARGV[5]), ARGV[6] == '1', {}
for at = 7, #ARGV do
  if limit <= 0 then break end
  local lane = call('HGET', P .. 'lanes', ARGV[at])
  if not lane and waits then lane = lane_number(ARGV[at]) end
  answer[3][at - 6] = tonumber(lane or 0)
  if lane then
    lane = tonumber(lane)
    numbers[#numbers + 1] = lane
    promote(lane)
    limit = limit - lease(worker, ARGV[4], lane, limit, answer)
  end
end
if #answer == 3 and waits then
  local first = tonumber(call('ZRANGE', P .. 'leases', 0, 0, 'WITHSCORES')[2])
  park(ARGV[3], ARGV[4], worker, limit, numbers)
  for _, lane in ipairs(numbers) do
    for _, kind in ipairs({ 'later:', 'carried:' }) do
      local due = tonumber(call('ZRANGE', P .. kind .. lane, 0, 0, 'WITHSCORES')[2])
      if due and due < first then first = due end
    end
  end
  answer[2] = string.format('%.6f', math.max(first - now, 0))
end
publish()
return answer
