-- Purpose: what is carried, confirmed and unclaimed in a lane stands in line again: the other engine lost it.
-- Keys: task, carried, wait, hungry, parked. Arguments: now, lane's name, how many at most. Result: how many it was.
-- Atomic, so that nothing which is claimed meanwhile stands in line.
local lane = call('HGET', P .. 'lanes', ARGV[2])
if not lane then return 0 end
lane = tonumber(lane)
local carried = P .. 'carried:' .. lane
local ids = call('ZRANGEBYSCORE', carried, CONFIRMED, '+inf', 'LIMIT', 0, ARGV[3])
for _, id in ipairs(ids) do
  call('ZREM', carried, id)
  local key = P .. 'task:' .. id
  local head = call('GETRANGE', key, 0, HEADER - 1)
  if #head == HEADER then
    local _, _, priority, _, seq = unpack_header(FORMAT, head)
    call('SETRANGE', key, 0, 'q')
    enqueue(id, lane, priority, seq, nil)
  end
end
publish()
return #ids
