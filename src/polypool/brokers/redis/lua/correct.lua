-- Purpose: replace what was reserved by what it cost. Keys: holds, limits, limits_over.
-- Arguments: now, holder, then for each: id, key, cost. Result: the places of those that this holder does not hold.
-- Atomic, so that reservation and meter agree.
tidy()
local refused = {}

local function correct(id, key, cost)
  local hold = hold_of(id)
  if not hold or hold[1] ~= ARGV[2] then return false end
  for _, charge in ipairs(hold[2]) do
    if charge[1] == 'r' and charge[2] == key then
      take_back(charge, charge[5] - cost)
      charge[5], charge[7] = cost, 0
      write_hold(id, hold)
      return true
    end
  end
  return false
end

for at = 3, #ARGV, 3 do
  if not correct(ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2])) then refused[#refused + 1] = at / 3 end
end
write_meters()
return refused
