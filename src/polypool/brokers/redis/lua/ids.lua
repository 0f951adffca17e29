-- Purpose: the ids that a search of people has to look at.
-- Keys: dead, ended, lanes, wait, carried, later, held, known. Arguments: now, which: letters of q p s r S F C D, then "pool:queue" of lanes to look in, or none for all.
-- Result: ids, or place (8 bytes) and id for those that ended; those of the endings newest first. Reads only.
local answer, wanted = {}, ARGV[2]
local function extend(members) for at = 1, #members do answer[#answer + 1] = members[at] end end
local lanes = {}
if #ARGV > 2 then
  for at = 3, #ARGV do lanes[#lanes + 1] = call('HGET', P .. 'lanes', ARGV[at]) or nil end
else
  lanes = call('HVALS', P .. 'lanes')
end
for _, lane in ipairs(lanes) do
  if string.find(wanted, 'q', 1, true) then extend(call('ZRANGE', P .. 'wait:' .. lane, 0, -1)) end
  if string.find(wanted, 'p', 1, true) then extend(call('ZRANGE', P .. 'carried:' .. lane, 0, -1)) end
  if string.find(wanted, 's', 1, true) then extend(call('ZRANGE', P .. 'later:' .. lane, 0, -1)) end
end
if string.find(wanted, 'r', 1, true) then
  for _, worker in ipairs(call('ZRANGE', P .. 'known', 0, -1)) do extend(call('HKEYS', P .. 'held:' .. worker)) end
end
if string.find(wanted, 'D', 1, true) then
  for _, member in ipairs(call('ZRANGE', P .. 'dead', 0, -1)) do answer[#answer + 1] = string.sub(member, 9) end
end
for _, key in ipairs({ 'S', 'F', 'C' }) do
  if string.find(wanted, key, 1, true) then
    for _, member in ipairs(call('LRANGE', P .. 'ended:' .. key, 0, -1)) do answer[#answer + 1] = string.sub(member, 17) end
  end
end
return answer
