-- Purpose: the other engine has these, durably: they stay parked. What is claimed, over, unknown or due to be in its lane is left as it is.
-- Keys: task, carried. Arguments: now, then ids. Result: how many it was.
-- Atomic, so that nothing which is claimed meanwhile is parked again.
local count = 0
for at = 2, #ARGV do
  local id = ARGV[at]
  local head = call('GETRANGE', P .. 'task:' .. id, 0, HEADER - 1)
  if string.sub(head, 1, 1) == 'p' then
    local _, _, _, lane, seq = unpack_header(FORMAT, head)
    local key = P .. 'carried:' .. lane
    if tonumber(call('ZSCORE', key, id)) > now then
      call('ZADD', key, string.format('%.0f', CONFIRMED + seq), id)
      count = count + 1
    end
  end
end
return count
