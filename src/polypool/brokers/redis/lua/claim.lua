-- Purpose: lease these very messages to a living worker, from wherever they wait; to one that is not alive nothing, but what was parked goes to its lane.
-- Keys: task, wait, later, carried, gone, held, asked, running, leases, hungry, parked. Arguments: now, worker's name, the client's name, the number
-- of this claim among its takes, then ids.
-- Result: now, the places of those that are unknown, then place and record (as it was before) of each that was leased.
-- Atomic, so that of two copies one is claimed and none is in no place at all.
local worker = call('HGET', P .. 'names', ARGV[2])
local until_then = worker and call('ZSCORE', P .. 'leases', worker)
if until_then and tonumber(until_then) <= now then until_then = nil end
if until_then then reap() end
local answer, unknown, held, running = { string.format('%.6f', now), {} }, {}, {}, {}
-- What its client has given up must not come into effect after it was given back.
local given_up = until_then and tonumber(call('HGET', P .. 'worker:' .. worker, 'up to:' .. ARGV[3]) or 0)
if until_then and tonumber(ARGV[4]) <= given_up then return answer end

local function claim(place, id, record)
  local state, flags, priority, lane, seq, token, deliveries, _, due = unpack_header(FORMAT, record)
  if not WAITING[state] or state == 'w' or (state == 's' and due > now) then return end
  local key, line = P .. 'task:' .. id, P .. WAITING[state] .. lane
  if until_then then
    call('ZREM', line, id)
    call('SETRANGE', key, 0, 'r' .. string.sub(record, 2, 16) .. pack('>I4I4I4', token + 1, deliveries + 1, worker))
    if has(flags, CANCELLED) then call('SADD', P .. 'asked:' .. worker, id) end
    held[#held + 1] = id
    held[#held + 1] = ARGV[4]
    running[lane] = (running[lane] or 0) + 1
    answer[#answer + 1] = place
    answer[#answer + 1] = record
  elseif state == 'p' then
    call('ZREM', line, id)
    call('SETRANGE', key, 0, 'q')
    enqueue(id, lane, priority, seq, nil)
  end
end

for at = 5, #ARGV do
  local id, place = ARGV[at], at - 4
  local record = call('GET', P .. 'task:' .. id)
  if record and FINAL[string.sub(record, 1, 1)] then
    local _, _, _, _, _, _, _, _, _, keep = unpack_header(FORMAT, record)
    if keep ~= 0 and keep <= now then record = false end
  end
  if record then
    claim(place, id, record)
  elseif tonumber(call('GET', P .. 'gone:' .. id) or 0) <= now then
    unknown[#unknown + 1] = place
  end
end
spread('HSET', P .. 'held:' .. (worker or ''), held)
for lane, count in pairs(running) do call('HINCRBY', P .. 'running', lane, count) end
answer[2] = unknown
publish()
return answer
