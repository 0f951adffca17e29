-- How messages stand in their lines and reach workers: the moves that several verbs share. Stands behind record.lua, before every verb.

-- As text: redis.call would write numbers with a fraction's care.
local function score(priority, seq) return string.format('%d', (TOP - priority) * PLACES + seq) end

local rung = {}
-- There is something to take in this lane.
local function ring(lane) rung[lane] = true end

local function lane_number(name)
  local number = call('HGET', P .. 'lanes', name)
  if not number then
    number = call('HLEN', P .. 'lanes') + 1
    call('HSET', P .. 'lanes', name, number)
  end
  return tonumber(number)
end

-- Takes that wait: each stands as "channel number" in the sets of hungry lanes, and with worker, limit and lanes in `parked`.
local function park(channel, number, worker, limit, lanes)
  local member = channel .. ' ' .. number
  call('HSET', P .. 'parked', member, pack('>I4I4', worker, limit) .. table.concat(lanes, ' '))
  for _, lane in ipairs(lanes) do call('SADD', P .. 'hungry:' .. lane, member) end
end
-- Returns worker and limit of a take that waited; nil if it does not.
local function unpark(member)
  local parked = call('HGET', P .. 'parked', member)
  if not parked then return nil end
  call('HDEL', P .. 'parked', member)
  for lane in string.gmatch(string.sub(parked, 9), '%d+') do call('SREM', P .. 'hungry:' .. lane, member) end
  return unpack_header('>I4I4', parked)
end

-- Have all look again who found this lane empty; they wait again when they find it empty again.
local function wake(lane)
  for _, member in ipairs(call('SMEMBERS', P .. 'hungry:' .. lane)) do tell(string.match(member, '^%S+'), 'w') end
end

-- Stand in line, or among those that wait for their time. Returns the state.
local function enqueue(id, lane, priority, seq, due)
  if due and due > now then
    local key = P .. 'later:' .. lane
    call('ZADD', key, due, id)
    if call('ZRANGE', key, 0, 0)[1] == id then wake(lane) end
    return 's'
  end
  call('ZADD', P .. 'wait:' .. lane, score(priority, seq), id)
  ring(lane)
  return 'q'
end

-- Where messages go, each place once. Arguments from `at`: how many, then of each: lane, priority, and the flags of what goes there.
local function read_fronts(at)
  local fronts = {}
  for place = 1, tonumber(ARGV[at]) do
    local lane, priority, flags = lane_number(ARGV[at + 1]), tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
    fronts[place] = {
      lane = lane, priority = priority, bytes = pack('>BhI4', flags, priority, lane),
      carried = pack('>BhI4', flags + HAS_COPIES, priority, lane),
    }
    at = at + 3
  end
  return fronts, at + 1
end

-- Write a message's record, unless its id is known.
local function write_new(id, record)
  local key = P .. 'task:' .. id
  if call('SET', key, record, 'NX') then return true end
  local state, flags, _, _, _, _, _, _, _, keep = unpack_header(FORMAT, call('GETRANGE', key, 0, HEADER - 1))
  if not FINAL[state] or keep == 0 or keep > now then return false end
  forget(id, flags)
  call('SET', key, record)
  return true
end

-- Stand in their lines. `waiting` and `later`: by lane, scores and ids in turn.
local function line_up(waiting, later)
  for lane, words in pairs(waiting) do
    spread('ZADD', P .. 'wait:' .. lane, words)
    ring(lane)
  end
  for lane, words in pairs(later) do
    local key = P .. 'later:' .. lane
    local first = call('ZRANGE', key, 0, 0)[1]
    spread('ZADD', key, words)
    if call('ZRANGE', key, 0, 0)[1] ~= first then wake(lane) end
  end
end

local function append(lines, lane, score, id)
  local words = lines[lane]
  if not words then
    words = {}
    lines[lane] = words
  end
  words[#words + 1] = score
  words[#words + 1] = id
end

-- Park what another engine carries, until somebody confirms that or the guard runs out. `words`: scores and ids in turn.
local function set_aside(lane, guard, words)
  spread('ZADD', P .. 'carried:' .. lane, words)
  -- Whoever waits looks again at the end of the first lease, at the latest of its own: then it learns of guards that last longer.
  local last = tonumber(call('ZRANGE', P .. 'leases', -1, -1, 'WITHSCORES')[2])
  if last and last > guard then wake(lane) end
end

-- Accept `count` messages. Arguments from `at`, for each: id, place of its front, due or empty or 'w' (waits for other steps), and its record from the
-- header's due time on. `guard`: another engine carries them, but for what is due later or waits for others. Returns the places of those whose id
-- was known, and where the arguments go on.
local function add_all(fronts, at, count, guard)
  local seq = call('INCRBY', P .. 'seq', count) - count
  local refused, waiting, later, carried, joins = {}, {}, {}, {}, {}
  for place = 1, count do
    local id, front, due = ARGV[at], fronts[tonumber(ARGV[at + 1])], ARGV[at + 2]
    seq = seq + 1
    local state = due == '' and 'q' or due == 'w' and 'w' or tonumber(due) > now and 's' or 'q'
    if guard and state == 'q' then state = 'p' end
    local record = state .. (state == 'p' and front.carried or front.bytes) .. pack('>I8', seq) .. NO_RUNS .. ARGV[at + 3]
    if not write_new(id, record) then
      refused[#refused + 1] = place
    elseif state == 'q' then
      append(waiting, front.lane, score(front.priority, seq), id)
    elseif state == 'w' then
      append(joins, front.lane, string.format('%d', seq), id)
    elseif state == 's' then
      append(later, front.lane, due, id)
    else
      append(carried, front.lane, guard, id)
    end
    at = at + 4
  end
  line_up(waiting, later)
  for lane, words in pairs(joins) do spread('ZADD', P .. 'joins:' .. lane, words) end
  for lane, words in pairs(carried) do set_aside(lane, guard, words) end
  return refused, at
end

-- Messages whose time has come stand in line, in their old places.
local function promote_from(later, lane)
  local ids = call('ZRANGEBYSCORE', later, '-inf', now, 'LIMIT', 0, 1000)
  for _, id in ipairs(ids) do
    call('ZREM', later, id)
    local key = P .. 'task:' .. id
    local head = call('GETRANGE', key, 0, HEADER - 1)
    if #head == HEADER then
      local _, _, priority, _, seq = unpack_header(FORMAT, head)
      call('SETRANGE', key, 0, 'q')
      call('ZADD', P .. 'wait:' .. lane, score(priority, seq), id)
    end
  end
end

-- Those whose delay has ended, and those that nobody confirmed to be carried.
local function promote(lane)
  promote_from(P .. 'later:' .. lane, lane)
  promote_from(P .. 'carried:' .. lane, lane)
end

-- Let a worker go of some of what it holds; `uncounted`: as if it had never been taken.
local function let_go(worker, ids, uncounted)
  local gone = {}
  for _, id in ipairs(ids) do
    local key = P .. 'task:' .. id
    local head = call('GETRANGE', key, 0, HEADER - 1)
    if #head == HEADER then
      local _, flags, priority, lane, seq, token, deliveries, _, due, keep, ending = unpack_header(FORMAT, head)
      if uncounted then deliveries = deliveries - 1 end
      call('SETRANGE', key, 0, pack(FORMAT, 'q', flags, priority, lane, seq, token, deliveries, 0, due, keep, ending))
      call('ZADD', P .. 'wait:' .. lane, score(priority, seq), id)
      gone[lane] = (gone[lane] or 0) + 1
    end
    call('HDEL', P .. 'held:' .. worker, id)
    call('SREM', P .. 'asked:' .. worker, id)
  end
  for lane, count in pairs(gone) do
    call('HINCRBY', P .. 'running', lane, -count)
    ring(lane)
  end
end

local function put_back(worker) let_go(worker, call('HKEYS', P .. 'held:' .. worker), false) end

-- Put back what workers held whose lease has ended.
local function reap()
  for _, worker in ipairs(call('ZRANGEBYSCORE', P .. 'leases', '-inf', now)) do
    call('ZREM', P .. 'leases', worker)
    put_back(worker)
  end
end

-- Lease the first messages of a lane: `found` grows by id and record (as it was before) of each. Returns how many.
local function lease(worker, number, lane, limit, found)
  local line = P .. 'wait:' .. lane
  local ids = call('ZRANGE', line, 0, limit - 1)
  if #ids == 0 then return 0 end
  call('ZREMRANGEBYRANK', line, 0, #ids - 1)
  local keys, held = {}, {}
  for at = 1, #ids do keys[at] = P .. 'task:' .. ids[at] end
  for start = 1, #keys, 1000 do
    local records = call('MGET', unpack(keys, start, math.min(start + 999, #keys)))
    for at = 1, #records do
      local record, id = records[at], ids[start + at - 1]
      if record then
        local token, deliveries = unpack_header('>I4I4', record, 17)
        call('SETRANGE', keys[start + at - 1], 0,
          'r' .. string.sub(record, 2, 16) .. pack('>I4I4I4', token + 1, deliveries + 1, worker))
        if has(string.byte(record, 2), CANCELLED) then call('SADD', P .. 'asked:' .. worker, id) end
        found[#found + 1] = id
        found[#found + 1] = record
        held[#held + 1] = id
        held[#held + 1] = number
      end
    end
  end
  spread('HSET', P .. 'held:' .. worker, held)
  if #held > 0 then call('HINCRBY', P .. 'running', lane, #held / 2) end
  return #held / 2
end

-- Whether what waits in a lane is little enough to be brought.
local function is_little(lane)
  local ids = call('ZRANGE', P .. 'wait:' .. lane, 0, PUSHED)
  if #ids > PUSHED then return false end
  for _, id in ipairs(ids) do
    if call('STRLEN', P .. 'task:' .. id) > CARRIED then return false end
  end
  return true
end

-- Bring what waits in a lane to takes that wait for it. One that nobody listens for any more is passed over.
local function bring(lane)
  while call('EXISTS', P .. 'wait:' .. lane) == 1 do
    local member = call('SRANDMEMBER', P .. 'hungry:' .. lane)
    if not member then return end
    local worker, limit = unpark(member)
    if not worker then call('SREM', P .. 'hungry:' .. lane, member) end
    local until_then = worker and call('ZSCORE', P .. 'leases', worker)
    if until_then and tonumber(until_then) > now then
      local channel, number = string.match(member, '^(%S+) (%d+)$')
      local found = { number, string.format('%.6f', now) }
      lease(worker, number, lane, limit, found)
      if call('PUBLISH', channel, 'd' .. framed(found)) == 0 then
        local ids = {}
        for at = 3, #found, 2 do ids[#ids + 1] = found[at] end
        let_go(worker, ids, true)
      end
    end
  end
end

-- The end of each verb that changes something: bring what can be taken, tell what is to be told.
local function publish()
  for lane in pairs(rung) do
    if call('EXISTS', P .. 'hungry:' .. lane) == 1 then
      if is_little(lane) then bring(lane) else wake(lane) end
    end
  end
  for channel, words in pairs(told) do
    if words.w then call('PUBLISH', channel, 'w') end
    if words.o then call('PUBLISH', channel, 'o') end
    if #words > 0 then call('PUBLISH', channel, 't' .. framed(words)) end
  end
end
