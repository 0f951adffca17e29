-- Purpose: park what was taken to be carried by another engine; the take is not counted. Nothing where the token is stale.
-- Keys: task, carried, held, asked, running, leases, hungry. Arguments: now, seconds after which what nobody confirmed goes to its lane, then id and
-- fence (see settle.lua) of each. Result: the places of those that were refused.
-- Atomic, so that whoever gets a copy finds the message either held or parked.
local guard, refused, carried = now + tonumber(ARGV[2]), {}, {}
for at = 3, #ARGV, 2 do
  local id = ARGV[at]
  local key = P .. 'task:' .. id
  local head = call('GETRANGE', key, 0, HEADER - 1)
  if string.sub(head, 1, 1) == 'r' and string.sub(head, FENCE_FROM, FENCE_TO) == ARGV[at + 1] then
    local _, flags, priority, lane, seq, token, deliveries, worker, due, keep, ending = unpack_header(FORMAT, head)
    if not has(flags, HAS_COPIES) then flags = flags + HAS_COPIES end
    call('SETRANGE', key, 0, pack(FORMAT, 'p', flags, priority, lane, seq, token, deliveries - 1, 0, due, keep, ending))
    call('HDEL', P .. 'held:' .. worker, id)
    call('SREM', P .. 'asked:' .. worker, id)
    call('HINCRBY', P .. 'running', lane, -1)
    append(carried, lane, guard, id)
  else
    refused[#refused + 1] = (at - 1) / 2
  end
end
for lane, words in pairs(carried) do set_aside(lane, guard, words) end
publish()
return refused
