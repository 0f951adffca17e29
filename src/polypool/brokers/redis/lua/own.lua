-- Purpose: have unique keys that nobody has, or have them for longer. Keys: owned, owned_over.
-- Arguments: now, then for each: key, owner, seconds. Result: who has each. Atomic, so that one gets it.
tidy()
local answer = {}
for at = 2, #ARGV, 3 do
  local key, owner = ARGV[at], ARGV[at + 1]
  local stored = call('HGET', P .. 'owned', key)
  if not stored or struct.unpack('>d', stored) <= now or string.sub(stored, 9) == owner then
    local till = now + tonumber(ARGV[at + 2])
    stored = struct.pack('>d', till) .. owner
    call('HSET', P .. 'owned', key, stored)
    call('ZADD', P .. 'owned_over', till, key)
  end
  answer[#answer + 1] = string.sub(stored, 9)
end
write_meters()
return answer
