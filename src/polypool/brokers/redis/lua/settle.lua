-- Purpose: write how runs ended: the next state, the ending, what follows; nothing where the token is stale.
-- Keys: task, wait, later, held, asked, running, dead, ended, watch, hungry. Arguments: now, number of lanes, the lanes, then for
-- each settlement: id, seq, token, 1 where an earlier try may have been written, kind, a, b, blob, number of follow-ups, and these as in
-- put.lua. Kinds S F C D: a = seconds to keep, blob = ending. A: waits again, a = deliveries, b = due or empty, blob = new body
-- or empty, then place of its lane and priority.
-- Result: 1 or 0 for each settlement. Atomic: a workflow cannot stop between an ending and what follows it.
local numbers, at = {}, 3
for place = 1, tonumber(ARGV[2]) do
  numbers[place] = lane_number(ARGV[at])
  at = at + 1
end
local accepted, listed, done, gone, freed = {}, {}, {}, {}, {}

local function again(id, head, deliveries, due, body, place, its_priority)
  local _, flags, priority, lane, token, _, _, seq, since, _, ending = unpack_header(FORMAT, head)
  local key = P .. 'task:' .. id
  if body ~= '' then lane, priority = numbers[place], its_priority end
  if has(flags, CANCELLED) then due = nil end
  local state = enqueue(id, lane, priority, seq, due)
  head = pack(FORMAT, state, flags, priority, lane, token, deliveries, 0, seq, state == 's' and due or since, 0, 0)
  if body ~= '' then call('SET', key, head .. body) else call('SETRANGE', key, 0, head) end
end

while at <= #ARGV do
  local id, seq, token, kind = ARGV[at], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), ARGV[at + 4]
  local head = call('GETRANGE', P .. 'task:' .. id, 0, HEADER - 1)
  local is_held, was_written = false, false
  local flags, lane, worker
  if #head == HEADER then
    local state, _, its_token, its_seq
    state, flags, _, lane, its_token, _, worker, its_seq = unpack_header(FORMAT, head)
    local is_same = its_seq == seq and its_token == token
    is_held = is_same and state == 'r'
    was_written = is_same and not is_held and ARGV[at + 3] == '1'
  end
  local next = at + 9
  if kind == 'A' then next = next + 2 end
  if is_held then
    gone[lane] = (gone[lane] or 0) + 1
    local held = freed[worker]
    if not held then
      held = {}
      freed[worker] = held
    end
    held[#held + 1] = id
    if has(flags, CANCELLED) then call('SREM', P .. 'asked:' .. worker, id) end
    if kind == 'A' then
      again(id, head, tonumber(ARGV[at + 5]), tonumber(ARGV[at + 6]), ARGV[at + 7], tonumber(ARGV[at + 9]), tonumber(ARGV[at + 10]))
    else
      finish(id, head, kind, tonumber(ARGV[at + 5]), ARGV[at + 7], listed)
    end
  end
  for _ = 1, tonumber(ARGV[at + 8]) do
    if is_held then
      add(ARGV[next], numbers[tonumber(ARGV[next + 1])], tonumber(ARGV[next + 2]), tonumber(ARGV[next + 3]),
        tonumber(ARGV[next + 4]), ARGV[next + 5])
    end
    next = next + 6
  end
  accepted[#accepted + 1] = (is_held or was_written) and 1 or 0
  at = next
end
for lane, count in pairs(gone) do call('HINCRBY', P .. 'running', lane, -count) end
for worker, ids in pairs(freed) do
  for start = 1, #ids, 1000 do call('ZREM', P .. 'held:' .. worker, unpack(ids, start, math.min(start + 999, #ids))) end
end
list_ended(listed)
publish()
return accepted
