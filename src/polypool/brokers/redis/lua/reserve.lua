-- Purpose: charge what reservations cost, all keys of each or none, and renew the holder's lease.
-- Keys: limits, limits_over, holds, holders, terms. Arguments: now, holder, lease in seconds, then for each reservation: id, number of charges, and of each
-- its kind, key, amount or limit, per, cost, burst, 1 if an estimate.
-- Result: for each two words: empty where granted, else the key that stands in the way, and the seconds to wait or empty.
-- Atomic, so that no two are granted the same room.
tidy()
local holder, at, answer, closed = ARGV[2], 4, {}, {}
renew(holder, ARGV[3])

local function read_charges(count)
  local charges = {}
  for place = 1, count do
    charges[place] = { ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4]), tonumber(ARGV[at + 5]),
      tonumber(ARGV[at + 6]) }
    at = at + 7
  end
  return charges
end

-- Charge copies of the meters. Returns these, and how long each key is to be waited for.
local function try(charges)
  local copies, waits, blocking = {}, {}, {}
  for _, charge in ipairs(charges) do
    local key = charge[2]
    if not copies[key] then
      copies[key] = {}
      for field, value in pairs(meter_of(key)) do copies[key][field] = value end
    end
    local meter = copies[key]
    declare(meter, charge)
    local wait = closed[key] or wait_for(meter, charge)
    if wait > (waits[key] or 0) then
      if not waits[key] then blocking[#blocking + 1] = key end
      waits[key] = wait
    end
    if charge[1] == 's' then meter.held = meter.held + 1 else meter.level = meter.level + charge[5] end
  end
  return copies, waits, blocking
end

-- The longest wait of those that end by themselves; if there is none, the slot that is missing.
local function refuse(waits, blocking)
  local longest
  for _, key in ipairs(blocking) do
    closed[key] = waits[key]
    if waits[key] < math.huge and (not longest or waits[key] > waits[longest]) then longest = key end
  end
  answer[#answer + 1] = longest or blocking[1]
  answer[#answer + 1] = longest and string.format('%.17g', waits[longest]) or ''
end

local function grant() answer[#answer + 1], answer[#answer + 2] = '', '' end

while at <= #ARGV do
  local id, count = ARGV[at], tonumber(ARGV[at + 1])
  at = at + 2
  local charges, hold = read_charges(count), hold_of(id)
  if hold then
    -- Whoever held it before lost its lease on what it runs, or it would not be another's now.
    call('SMOVE', P .. 'holds:' .. hold[1], P .. 'holds:' .. holder, id)
    hold[1] = holder
    write_hold(id, hold)
    grant()
  else
    local copies, waits, blocking = try(charges)
    if #blocking > 0 then
      refuse(waits, blocking)
    else
      for key, meter in pairs(copies) do
        meters[key] = meter
        changed[key] = true
      end
      write_hold(id, { holder, charges })
      call('SADD', P .. 'holds:' .. holder, id)
      grant()
    end
  end
end
write_meters()
return answer
