-- Purpose: write how runs ended: the next state, the ending, what follows; nothing where the token is stale.
-- Keys: task, wait, later, joins, places, held, asked, running, dead, ended, watch, hungry, parked. Arguments: now, fronts (see read_fronts), names (see
-- joins.lua), number of manners, for each: kind, seconds to keep, 1 where an earlier try may have been written, 1 where messages follow, 1 where the
-- body is kept, 1 where other steps are told; then for each settlement: id, fence (seq and token as in the header), its manner, ending.
-- Kind A (waits again) goes on with: deliveries, due or empty or (waits for other steps) 'w' and due and keep until as in the header, new body or
-- empty, place of its front. Messages that follow: how many, and these as in put.lua. Steps that are told: signals.
-- Result: the places of those that were refused. Atomic: a workflow cannot stop between an ending and what follows it.
local fronts, at = read_fronts(2)
local names, at = read_names(at)
local manners, refused, listed, gone, freed = {}, {}, {}, {}, {}
for place = 1, tonumber(ARGV[at]) do
  local kind, seconds = ARGV[at + 1], tonumber(ARGV[at + 2])
  manners[tostring(place)] = {
    kind = kind, keep = keeping(seconds, ARGV[at + 5] == '1'), is_retry = ARGV[at + 3] == '1', has_more = ARGV[at + 4] == '1',
    tells = ARGV[at + 6] == '1',
  }
  at = at + 6
end
at = at + 1

local FOR_OTHERS = string.byte('w')
local function again(id, head, deliveries, due, body, front)
  local _, flags, priority, lane, seq, token, _, _, since, _, before = unpack_header(FORMAT, head)
  local key, places, is_cancelled, state = P .. 'task:' .. id, 0, has(flags, CANCELLED), nil
  if body ~= '' then lane, priority = front.lane, front.priority end
  if string.byte(due) == FOR_OTHERS and not is_cancelled then
    flush()
    state = 'w'
    since, places = unpack_header('>dd', due, 2)
    call('ZADD', P .. 'joins:' .. lane, string.format('%d', seq), id)
  else
    due = not is_cancelled and tonumber(due) or nil
    state = enqueue(id, lane, priority, seq, due)
    if state == 's' then since = due end
  end
  local cause = before > 0 and body ~= '' and call('GETRANGE', key, HEADER, HEADER + before - 1) or ''
  head = pack(FORMAT, state, flags, priority, lane, seq, token, deliveries, 0, since, places, before)
  if body ~= '' then call('SET', key, head .. cause .. body) else call('SETRANGE', key, 0, head) end
end

-- Its worker holds it no longer.
local function free(id, head)
  local lane, worker = string.sub(head, 5, 8), string.sub(head, 25, 28)
  gone[lane] = (gone[lane] or 0) + 1
  local ids = freed[worker]
  if not ids then
    ids = {}
    freed[worker] = ids
  end
  ids[#ids + 1] = id
  if has(string.byte(head, 2), CANCELLED) then call('SREM', P .. 'asked:' .. unpack_header('>I4', worker), id) end
end

local place, RUNNING = 0, string.byte('r')
while at <= #ARGV do
  local id, manner = ARGV[at], manners[ARGV[at + 2]]
  local key = P .. 'task:' .. id
  local head = call('GETRANGE', key, 0, HEADER - 1)
  local is_same = string.sub(head, FENCE_FROM, FENCE_TO) == ARGV[at + 1]
  local is_held = is_same and string.byte(head) == RUNNING
  local next = at + 4
  place = place + 1
  if is_held then
    free(id, head)
    if manner.kind ~= 'A' then
      finish(id, key, head, manner.kind, manner.keep, ARGV[at + 3], listed)
    else
      again(id, head, tonumber(ARGV[at + 4]), ARGV[at + 5], ARGV[at + 6], fronts[tonumber(ARGV[at + 7])])
    end
  elseif not (is_same and manner.is_retry) then
    refused[#refused + 1] = place
  end
  if manner.kind == 'A' then next = next + 4 end
  if manner.has_more then
    local count = tonumber(ARGV[next])
    if is_held then
      flush()
      add_all(fronts, next + 1, count)
    end
    next = next + 1 + count * 4
  end
  if manner.tells then
    if is_held then signal(names, ARGV[next]) end
    next = next + 1
  end
  at = next
end
for lane, count in pairs(gone) do call('HINCRBY', P .. 'running', unpack_header('>I4', lane), -count) end
for worker, ids in pairs(freed) do spread('HDEL', P .. 'held:' .. unpack_header('>I4', worker), ids) end
flush()
list_ended(listed)
publish()
return refused
