-- Purpose: accept messages; those whose id is known are left as they are.
-- Keys: task, wait, later, lanes, seq, hungry. Arguments: now, number of lanes, the lanes ("pool:queue"), then for each
-- message: id, place of its lane in that list, priority, due or empty, sent at or empty, body.
-- Result: 1 or 0 for each message, in order.
-- Atomic, so that a message stands in its line exactly when its record is there.
local numbers, at = {}, 3
for place = 1, tonumber(ARGV[2]) do
  numbers[place] = lane_number(ARGV[at])
  at = at + 1
end
local accepted = {}
while at <= #ARGV do
  local is_new = add(ARGV[at], numbers[tonumber(ARGV[at + 1])], tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3]),
    tonumber(ARGV[at + 4]), ARGV[at + 5])
  accepted[#accepted + 1] = is_new and 1 or 0
  at = at + 6
end
publish()
return accepted
