-- Purpose: end reservations: their slots are given back, and the costs of those that were not used.
-- Keys: holds, limits, limits_over. Arguments: now, holder, then for each: id, 1 if it was used.
-- Result: the places of those that this holder does not hold. Atomic, so that nothing is given back twice.
tidy()
local refused = {}
for at = 3, #ARGV, 2 do
  local hold = hold_of(ARGV[at])
  if hold and hold[1] == ARGV[2] then
    end_hold(ARGV[at], hold, ARGV[at + 1] == '1' and 'none' or 'all')
  else
    refused[#refused + 1] = (at - 1) / 2
  end
end
write_meters()
return refused
