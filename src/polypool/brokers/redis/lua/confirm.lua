-- Purpose: the other engine has these, durably: they stay parked. What is claimed, over, unknown or due to be in its lane is left as it is.
-- Keys: task, carried. Arguments: now, then id and token (or empty: whichever) of each. Result: how many it was.
-- Atomic, so that word of an earlier carrying cannot be taken for that of a later one.
local count = 0
for at = 2, #ARGV, 2 do
  local id, wanted = ARGV[at], ARGV[at + 1]
  local head = call('GETRANGE', P .. 'task:' .. id, 0, HEADER - 1)
  if string.sub(head, 1, 1) == 'p' then
    local _, _, _, lane, seq, token = unpack_header(FORMAT, head)
    local key = P .. 'carried:' .. lane
    if (wanted == '' or tonumber(wanted) == token) and tonumber(call('ZSCORE', key, id)) > now then
      call('ZADD', key, string.format('%.0f', CONFIRMED + seq), id)
      count = count + 1
    end
  end
end
return count
