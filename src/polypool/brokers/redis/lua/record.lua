-- How a message stands in Redis, and the moves that several verbs share. Put in front of every verb by scripts.py.
-- Keys: KEYS[1] is the prefix "{name}:"; all others begin with it, so they share one slot of a cluster.
--   task:<id>        string: header (48 bytes), then ending, then body; expires by itself once it ended
--   wait:<lane>      sorted set of ids, by priority and place in the line;  later:<lane>: by due time
--   held:<worker>    sorted set of ids, by the number of the take that brought them;  asked:<worker>: set, to be cancelled
--   lanes            hash "pool:queue" → number;  running: hash lane → how many run
--   names            hash worker's name → number;  worker:<number>: hash;  leases: sorted set;  known: sorted set
--   dead, ended:<state>  sorted sets for people: place (8 bytes) and id, by place or by end of keeping
--   hungry:<lane>    set of channels that wait for work;  watch: hash id → channels that wait for news of it
--   events:<id>      stream;  trimmed:<id>: where its kept history begins
-- Arguments: ARGV[1] is the time in seconds, or empty: the server's own clock then.
local P = KEYS[1]
local call = redis.call
local HEADER, FORMAT = 48, '>c1BhI4I4I4I4I8ddI4'
-- state, flags, priority, lane, token, deliveries, worker, seq, due, keep until, length of the ending
local CANCELLED, WATCHED, STREAMED = 1, 2, 4
local PLACES, TOP = 17592186044416, 100
local LISTED = 10000
local WAITING = { q = true, s = true }
local FINAL = { S = true, F = true, C = true, D = true }
local pack, unpack_header = struct.pack, struct.unpack
local now = tonumber(ARGV[1])
if not now then
  local time = call('TIME')
  now = tonumber(time[1]) + tonumber(time[2]) / 1e6
end

local function has(flags, flag) return flags % (flag * 2) >= flag end

local function score(priority, seq) return (TOP - priority) * PLACES + seq end

-- What is to be told to which channel; said once, at the end of the verb.
local told = {}
local function tell(channel, kind, id)
  local words = told[channel]
  if not words then
    words = {}
    told[channel] = words
  end
  if id then words[#words + 1] = id else words[kind] = true end
end
local function publish()
  for channel, words in pairs(told) do
    if words.w then call('PUBLISH', channel, 'w') end
    if words.o then call('PUBLISH', channel, 'o') end
    if #words > 0 then
      local ids = {}
      for at = 1, #words do ids[at] = words[at] end
      call('PUBLISH', channel, 't' .. cmsgpack.pack(ids))
    end
  end
end

local rung = {}
-- Wake whoever found this lane empty. They say so again when they find it empty again.
local function ring(lane)
  if rung[lane] then return end
  rung[lane] = true
  local hungry = call('SMEMBERS', P .. 'hungry:' .. lane)
  if #hungry > 0 then
    for _, channel in ipairs(hungry) do tell(channel, 'w') end
    call('DEL', P .. 'hungry:' .. lane)
  end
end

-- News of a task for whoever watches it, once: they watch again when they look again.
local function news(id)
  local channels = call('HGET', P .. 'watch', id)
  if channels then
    call('HDEL', P .. 'watch', id)
    for channel in string.gmatch(channels, '[^ ]+') do tell(channel, 't', id) end
  end
end

local function lane_number(name)
  local number = call('HGET', P .. 'lanes', name)
  if not number then
    number = call('HLEN', P .. 'lanes') + 1
    call('HSET', P .. 'lanes', name, number)
  end
  return tonumber(number)
end

-- Forget a task's record and stream.
local function forget(id, flags)
  call('DEL', P .. 'task:' .. id)
  if has(flags, STREAMED) then call('DEL', P .. 'events:' .. id, P .. 'trimmed:' .. id) end
end

-- Stand in line, or among those that wait for their time. Returns the state.
local function enqueue(id, lane, priority, seq, due)
  if due and due > now then
    local key = P .. 'later:' .. lane
    call('ZADD', key, due, id)
    if call('ZRANGE', key, 0, 0)[1] == id then ring(lane) end
    return 's'
  end
  call('ZADD', P .. 'wait:' .. lane, score(priority, seq), id)
  ring(lane)
  return 'q'
end

-- Accept a message whose id is not known. Returns whether it was.
local function add(id, lane, priority, due, since, body)
  local key = P .. 'task:' .. id
  if call('EXISTS', key) == 1 then
    local state, flags, _, _, _, _, _, _, _, keep = unpack_header(FORMAT, call('GETRANGE', key, 0, HEADER - 1))
    if not FINAL[state] or keep == 0 or keep > now then return false end
    forget(id, flags)
  end
  local seq = call('INCR', P .. 'seq')
  local state = enqueue(id, lane, priority, seq, due)
  call('SET', key, pack(FORMAT, state, 0, priority, lane, 0, 0, 0, seq, due or since or now, 0, 0) .. body)
  return true
end

-- Messages whose delay has ended stand in line, in their old places.
local function promote(lane)
  local later = P .. 'later:' .. lane
  local ids = call('ZRANGEBYSCORE', later, '-inf', now, 'LIMIT', 0, 1000)
  for _, id in ipairs(ids) do
    call('ZREM', later, id)
    local key = P .. 'task:' .. id
    local head = call('GETRANGE', key, 0, HEADER - 1)
    if #head == HEADER then
      local _, _, priority, _, _, _, _, seq = unpack_header(FORMAT, head)
      call('SETRANGE', key, 0, 'q')
      call('ZADD', P .. 'wait:' .. lane, score(priority, seq), id)
    end
  end
end

-- Let a worker go of some of what it holds; `uncounted`: as if it had never been taken.
local function let_go(worker, ids, uncounted)
  local gone = {}
  for _, id in ipairs(ids) do
    local key = P .. 'task:' .. id
    local head = call('GETRANGE', key, 0, HEADER - 1)
    if #head == HEADER then
      local _, flags, priority, lane, token, deliveries, _, seq, due, keep, ending = unpack_header(FORMAT, head)
      if uncounted then deliveries = deliveries - 1 end
      call('SETRANGE', key, 0, pack(FORMAT, 'q', flags, priority, lane, token, deliveries, 0, seq, due, keep, ending))
      call('ZADD', P .. 'wait:' .. lane, score(priority, seq), id)
      gone[lane] = (gone[lane] or 0) + 1
    end
    call('ZREM', P .. 'held:' .. worker, id)
    call('SREM', P .. 'asked:' .. worker, id)
  end
  for lane, count in pairs(gone) do
    call('HINCRBY', P .. 'running', lane, -count)
    ring(lane)
  end
end

local function put_back(worker) let_go(worker, call('ZRANGE', P .. 'held:' .. worker, 0, -1), false) end

-- Put back what workers held whose lease has ended.
local function reap()
  for _, worker in ipairs(call('ZRANGEBYSCORE', P .. 'leases', '-inf', now)) do
    call('ZREM', P .. 'leases', worker)
    put_back(worker)
  end
end

-- For people: lists of the latest endings, bounded, and cleaned of what is no longer kept.
local function list_ended(listed)
  for state, members in pairs(listed) do
    local key = P .. 'ended:' .. state
    for at = 1, #members, 1000 do call('ZADD', key, unpack(members, at, math.min(at + 999, #members))) end
    call('ZREMRANGEBYRANK', key, 0, -LISTED - 1)
  end
end
local function unlist_ended()
  for _, state in ipairs({ 'S', 'F', 'C' }) do call('ZREMRANGEBYSCORE', P .. 'ended:' .. state, '-inf', now) end
end

-- Write how a message ended. `keep`: seconds, 0: nothing is kept; state 'D': a dead letter, kept with its body.
local function finish(id, head, state, keep, ending, listed)
  local key = P .. 'task:' .. id
  local _, flags, priority, lane, token, deliveries, _, seq, due, _, before = unpack_header(FORMAT, head)
  if state == 'D' then
    local body = string.sub(call('GET', key), HEADER + before + 1)
    call('SET', key, pack(FORMAT, 'D', flags, priority, lane, token, deliveries, 0, seq, due, 0, #ending) .. ending .. body)
    call('ZADD', P .. 'dead', seq, pack('>I8', seq) .. id)
  elseif keep <= 0 then
    forget(id, flags)
  else
    local until_then, span = now + keep, string.format('%.0f', math.ceil(keep * 1000))
    call('SET', key, pack(FORMAT, state, flags, priority, lane, token, deliveries, 0, seq, due, until_then, #ending) .. ending,
      'PX', span)
    if has(flags, STREAMED) then
      call('PEXPIRE', P .. 'events:' .. id, span)
      call('PEXPIRE', P .. 'trimmed:' .. id, span)
    end
    local members = listed[state]
    if not members then
      members = {}
      listed[state] = members
    end
    members[#members + 1] = until_then
    members[#members + 1] = pack('>I8', seq) .. id
  end
  if has(flags, WATCHED) then news(id) end
end

-- A client that wants to be told of the next news of a task.
local function watch(id, head, channel)
  local channels = call('HGET', P .. 'watch', id)
  if not channels then
    call('HSET', P .. 'watch', id, channel)
  elseif not string.find(' ' .. channels .. ' ', ' ' .. channel .. ' ', 1, true) then
    call('HSET', P .. 'watch', id, channels .. ' ' .. channel)
  end
  local flags = string.byte(head, 2)
  if not has(flags, WATCHED) then call('SETRANGE', P .. 'task:' .. id, 1, string.char(flags + WATCHED)) end
end
