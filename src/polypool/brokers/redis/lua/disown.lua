-- Purpose: free unique keys before their time. Keys: owned, owned_over.
-- Arguments: now, then for each: key, owner. Result: the places of those that another or nobody has.
-- Atomic, so that no other owner's key is freed.
tidy()
local refused = {}
for at = 2, #ARGV, 2 do
  local stored = call('HGET', P .. 'owned', ARGV[at])
  if stored and struct.unpack('>d', stored) > now and string.sub(stored, 9) == ARGV[at + 1] then
    call('HDEL', P .. 'owned', ARGV[at])
    call('ZREM', P .. 'owned_over', ARGV[at])
  else
    refused[#refused + 1] = at / 2
  end
end
write_meters()
return refused
