-- Purpose: pause keys for everybody, or set other limits for them than their users say. Keys: limits, limits_over.
-- Arguments: now, then for each: key, seconds, and amount and per of the other limit, or empty twice: a pause. Result: 1.
-- Atomic, so that what is charged meanwhile is not lost.
tidy()
for at = 2, #ARGV, 4 do
  local meter, span, amount = meter_of(ARGV[at]), tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  if amount then
    meter.adapted_amount, meter.adapted_per, meter.adapted_until = amount, tonumber(ARGV[at + 3]), now + span
  elseif span > 0 then
    meter.paused_until = math.max(meter.paused_until, now + span)
  else
    meter.paused_until = 0
  end
  changed[ARGV[at]] = true
end
write_meters()
return 1
