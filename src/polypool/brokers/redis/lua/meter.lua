-- How limits stand in Redis, and the moves that the ledger's verbs share. Stands behind record.lua, before each of them.
--   limits           hash key → meter (11 doubles, the fields of core/meter.py, whose steps these are);  limits_over: sorted set of keys by when
--                    nobody needs their meter any more; those with slots held are not in it
--   holds            hash id → granted reservation (MessagePack: holder, charges);  holders: sorted set by end of lease;
--                    terms: hash holder → lease in seconds
--   holds:<holder>   set of ids
--   owned            hash unique key → until (8 bytes) and owner;  ticks: hash schedule → time (8 bytes) and owner of the last one
--   owned_over, ticks_over    sorted sets, by when these are over
-- A charge: { 'r' or 's', key, amount or limit, per, cost, burst, 1 if an estimate }.
local METER, MOMENT, SWEPT = '>ddddddddddd', 1e-6, 100
local meters, changed = {}, {}

local function run_out(meter, till, rate)
  if till > meter.at then
    meter.level = math.max(meter.level - (till - meter.at) * rate, 0)
    meter.at = till
  end
end

-- The meter of a key, as it is now.
local function meter_of(key)
  local meter = meters[key]
  if meter then return meter end
  meter = { level = 0, at = now, amount = 0, per = 1, burst = 0, paused_until = 0, adapted_amount = 0, adapted_per = 1, adapted_until = 0,
    held = 0, limit = 0 }
  local stored = call('HGET', P .. 'limits', key)
  if stored then
    meter.level, meter.at, meter.amount, meter.per, meter.burst, meter.paused_until, meter.adapted_amount, meter.adapted_per,
      meter.adapted_until, meter.held, meter.limit = struct.unpack(METER, stored)
    if meter.adapted_until > meter.at then
      run_out(meter, math.min(now, meter.adapted_until), meter.adapted_amount / meter.adapted_per)
    end
    run_out(meter, now, meter.amount / meter.per)
  end
  meters[key] = meter
  return meter
end

local function declare(meter, charge)
  if charge[1] == 's' then
    meter.limit = charge[3]
  else
    meter.amount, meter.per, meter.burst = charge[3], charge[4], charge[6]
  end
end

-- How long so much takes to run out.
local function seconds(meter, level)
  if level <= 0 then return 0 end
  local left = meter.adapted_until - now
  if left > 0 then
    local rate = meter.adapted_amount / meter.adapted_per
    if level <= left * rate or meter.amount <= 0 then return level / rate end
    return left + (level - left * rate) / (meter.amount / meter.per)
  end
  return level / (meter.amount / meter.per)
end

-- Seconds until a charge may be made; 0: now, infinite: when a slot is released.
local function wait_for(meter, charge)
  local paused = math.max(meter.paused_until - now, 0)
  if charge[1] == 's' then
    local limit = charge[3]
    if meter.adapted_until > now then limit = meter.adapted_amount end
    if meter.held + 1 > limit then return math.huge end
    return paused
  end
  local needed = seconds(meter, meter.level + charge[5] - math.max(charge[6], charge[5]))
  return math.max(paused, needed > MOMENT and needed or 0)
end

local function take_back(charge, cost)
  local meter = meter_of(charge[2])
  if meter.amount <= 0 then declare(meter, charge) end
  meter.level = math.max(meter.level - cost, 0)
  changed[charge[2]] = true
end

local function hold_of(id)
  local stored = call('HGET', P .. 'holds', id)
  if stored then return cmsgpack.unpack(stored) end
end
local function write_hold(id, hold) call('HSET', P .. 'holds', id, cmsgpack.pack(hold)) end

-- Forget a reservation. Its slots are given back, and of its costs 'all', the 'estimates' or 'none'.
local function end_hold(id, hold, which)
  call('HDEL', P .. 'holds', id)
  call('SREM', P .. 'holds:' .. hold[1], id)
  for _, charge in ipairs(hold[2]) do
    if charge[1] == 's' then
      local meter = meter_of(charge[2])
      meter.held = meter.held - 1
      changed[charge[2]] = true
    elseif which == 'all' or (which == 'estimates' and charge[7] == 1) then
      take_back(charge, charge[5])
    end
  end
end

-- Forget what is over, so many at each call: more than one call makes.
local function sweep(rows, over)
  local names = call('ZRANGEBYSCORE', P .. over, '-inf', now, 'LIMIT', 0, SWEPT)
  if #names > 0 then
    call('HDEL', P .. rows, unpack(names))
    call('ZREM', P .. over, unpack(names))
  end
end

-- The beginning of each verb that changes something: what is over is forgotten, what holders had whose lease has ended given back.
local function tidy()
  sweep('limits', 'limits_over')
  sweep('owned', 'owned_over')
  sweep('ticks', 'ticks_over')
  for _, holder in ipairs(call('ZRANGEBYSCORE', P .. 'holders', '-inf', now)) do
    for _, id in ipairs(call('SMEMBERS', P .. 'holds:' .. holder)) do end_hold(id, hold_of(id), 'estimates') end
    call('ZREM', P .. 'holders', holder)
    call('HDEL', P .. 'terms', holder)
  end
end

-- Have a holder hold what it has for so long.
local function renew(holder, lease)
  call('ZADD', P .. 'holders', now + tonumber(lease), holder)
  call('HSET', P .. 'terms', holder, lease)
end

-- The end of each verb that changes meters.
local function write_meters()
  for key in pairs(changed) do
    local meter = meters[key]
    local over = math.max(now + seconds(meter, meter.level), meter.paused_until, meter.adapted_until)
    if meter.held <= 0 and over <= now then
      call('HDEL', P .. 'limits', key)
      call('ZREM', P .. 'limits_over', key)
    else
      call('HSET', P .. 'limits', key, struct.pack(METER, meter.level, meter.at, meter.amount, meter.per, meter.burst, meter.paused_until,
        meter.adapted_amount, meter.adapted_per, meter.adapted_until, meter.held, meter.limit))
      if meter.held > 0 then
        call('ZREM', P .. 'limits_over', key)
      else
        call('ZADD', P .. 'limits_over', over, key)
      end
    end
  end
end
