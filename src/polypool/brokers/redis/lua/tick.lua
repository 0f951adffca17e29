-- Purpose: who is to act on a time of a schedule: the first to ask, for a time later than all before. Keys: ticks, ticks_over.
-- Arguments: now, seconds for which the last one is known, then for each: name, time, owner. Result: the places of those who are not to.
-- Atomic, so that one acts.
tidy()
local refused = {}
for at = 3, #ARGV, 3 do
  local name, time, owner = ARGV[at], tonumber(ARGV[at + 1]), ARGV[at + 2]
  local stored = call('HGET', P .. 'ticks', name)
  local last = stored and struct.unpack('>d', stored)
  if not stored or time > last then
    call('HSET', P .. 'ticks', name, struct.pack('>d', time) .. owner)
    call('ZADD', P .. 'ticks_over', math.max(time, now) + tonumber(ARGV[2]), name)
  elseif time < last or string.sub(stored, 9) ~= owner then
    refused[#refused + 1] = at / 3
  end
end
write_meters()
return refused
