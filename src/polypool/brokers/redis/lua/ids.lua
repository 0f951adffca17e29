-- Purpose: some of the ids that a search of people has to look at.
-- Keys: dead, ended, wait, carried, later, joins, held. Arguments: now, which: one letter of q p s w r S F C D, number of the lane (q p s w) or of the worker (r) or empty,
-- the first and the last wanted, counted from the end: -1 is the last. What is taken meanwhile goes from the beginning, so none is passed over.
-- Result: ids; of a worker always all that it holds. Reads only.
local which, shelf, first, last = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
if WAITING[which] then return call('ZRANGE', P .. WAITING[which] .. shelf, first, last) end
if which == 'r' then return call('HKEYS', P .. 'held:' .. shelf) end
local ids, members, before = {}, {}, 16
if which == 'D' then
  members, before = call('ZRANGE', P .. 'dead', first, last), 8
else
  members = call('LRANGE', P .. 'ended:' .. which, first, last)
end
for at, member in ipairs(members) do ids[at] = string.sub(member, before + 1) end
return ids
