-- Purpose: what was measured. Keys: tallies, tally. Arguments: now.
-- Result: name and fields of each. Reads only.
local answer = {}
for _, name in ipairs(call('SMEMBERS', P .. 'tallies')) do
  answer[#answer + 1] = name
  answer[#answer + 1] = call('HGETALL', P .. 'tally:' .. name)
end
return answer
