-- Purpose: lease the first due messages of some lanes to a living worker, what dead workers held included.
-- Keys: task, wait, later, held, asked, leases, hungry. Arguments: now, worker's name, the client's name, the number of this take, limit, channel to be told of
-- new work on or empty, then the lanes in the order in which they are emptied.
-- Result: now, seconds until another try may bring something (or empty), the lanes' numbers, then id and record (as it was before) of each.
-- Atomic, so that no message is held twice and none is in no place at all.
reap()
local worker = call('HGET', P .. 'names', ARGV[2])
local lease = worker and call('ZSCORE', P .. 'leases', worker)
-- A take that its client has given up must not come into effect after it was given back.
local given_up = lease and tonumber(call('HGET', P .. 'worker:' .. worker, 'up to:' .. ARGV[3]) or 0)
local answer = { string.format('%.6f', now), '', {} }
if not lease or tonumber(ARGV[4]) <= given_up then
  publish()
  return answer
end
local limit, numbers, held = tonumber(ARGV[5]), {}, { P .. 'held:' .. worker }
for at = 7, #ARGV do
  if limit <= 0 then break end
  local lane = call('HGET', P .. 'lanes', ARGV[at])
  if not lane and ARGV[6] ~= '' then lane = lane_number(ARGV[at]) end
  answer[3][at - 6] = tonumber(lane or 0)
  if lane then
    lane = tonumber(lane)
    numbers[#numbers + 1] = lane
    promote(lane)
    local popped = call('ZPOPMIN', P .. 'wait:' .. lane, limit)
    local keys, count = {}, 0
    for place = 1, #popped, 2 do keys[#keys + 1] = P .. 'task:' .. popped[place] end
    for start = 1, #keys, 1000 do
      local records = call('MGET', unpack(keys, start, math.min(start + 999, #keys)))
      for place = 1, #records do
        local record, id = records[place], popped[(start + place - 1) * 2 - 1]
        if record then
          local _, flags, priority, its_lane, token, deliveries, _, seq, due, keep, ending = unpack_header(FORMAT, record)
          call('SETRANGE', keys[start + place - 1], 0,
            pack(FORMAT, 'r', flags, priority, its_lane, token + 1, deliveries + 1, tonumber(worker), seq, due, keep, ending))
          if has(flags, CANCELLED) then call('SADD', P .. 'asked:' .. worker, id) end
          answer[#answer + 1] = id
          answer[#answer + 1] = record
          held[#held + 1] = ARGV[4]
          held[#held + 1] = id
          count = count + 1
        end
      end
    end
    if count > 0 then call('HINCRBY', P .. 'running', lane, count) end
    limit = limit - count
  end
end
for at = 2, #held, 2000 do call('ZADD', held[1], unpack(held, at, math.min(at + 1999, #held))) end
if #answer == 3 and ARGV[6] ~= '' then
  local first = tonumber(call('ZRANGE', P .. 'leases', 0, 0, 'WITHSCORES')[2])
  for _, lane in ipairs(numbers) do
    call('SADD', P .. 'hungry:' .. lane, ARGV[6])
    local due = tonumber(call('ZRANGE', P .. 'later:' .. lane, 0, 0, 'WITHSCORES')[2])
    if due and due < first then first = due end
  end
  answer[2] = string.format('%.6f', math.max(first - now, 0))
end
publish()
return answer
