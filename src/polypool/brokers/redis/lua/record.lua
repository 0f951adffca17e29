-- How a message stands in Redis, and the moves that several verbs share. Put in front of every verb by scripts.py.
-- Keys: KEYS[1] is the prefix "{name}:"; all others begin with it, so they share one slot of a cluster.
--   task:<id>        string: header (48 bytes), then ending, then body; expires by itself once it ended. Of a step that is only to be ended, the
--                    reason stands where the ending will
--   wait:<lane>      sorted set of ids, by priority and place in the line;  later:<lane>: by due time
--   carried:<lane>   sorted set of what is parked because another engine carries it, by the time at which it goes to its lane; once somebody
--                    confirmed that: by CONFIRMED and place in the line;  gone:<id>: cancelled or purged though copies may still come
--   joins:<lane>     sorted set of the steps that wait for other steps, by place in the line;  places:<id>: bitmap of the places of such a step
--                    that are marked, of one that waits for several and while there are any
--   held:<worker>    hash id → number of the take that brought it;  asked:<worker>: set, to be cancelled
--   lanes            hash "pool:queue" → number;  running: hash lane → how many run
--   names            hash worker's name → number;  worker:<number>: hash;  leases: sorted set;  known: sorted set
--   served           string: which life of the server leases were last given anew for
--   dead             sorted set by place in the line: place (8 bytes) and id;  ended:<state>: list of the latest for people, the
--                    newest first: end of keeping (8 bytes), place (8 bytes) and id
--   hungry:<lane>    set of takes that wait for work ("channel number");  parked: hash of these, see `park`
--   watch            hash id → channels that wait for news of it
--   events:<id>      stream;  trimmed:<id>: where its kept history begins
-- Arguments: ARGV[1] is the time in seconds, or empty: the server's own clock then.
local P = KEYS[1]
local call = redis.call
local HEADER, FORMAT = 48, '>c1BhI4I8I4I4I4ddI4'
-- state, flags, priority, lane, seq, token, deliveries, worker, due, keep until, length of the ending. Verbs that run for every task
-- cut it into strings by these places, which costs less than reading its numbers: seq and token stand together as the fence.
-- Of a step that waits for others (state w), worker is how many of its places are marked, due is when it may run once all are (negative: so many
-- seconds from then), and keep until is for how many places it waits.
local FENCE_FROM, FENCE_TO, DUE_FROM, DUE_TO = 9, 20, 29, 36
-- TELLS: other steps wait for its end, as its body says.
local CANCELLED, WATCHED, STREAMED, HAS_COPIES, TELLS = 1, 2, 4, 8, 16
local PLACES, TOP = 17592186044416, 100
local LISTED = 10000
local CONFIRMED, DAY = 1e13, 86400
-- What is brought to a waiting take, or with news, in one message of the server: so few, each so short. More than that is asked for.
local PUSHED, CARRIED = 8, 8192
local NO_RUNS, NOBODY = string.rep('\0', 12), string.rep('\0', 4)
local WAITING = { q = 'wait:', s = 'later:', p = 'carried:', w = 'joins:' }
local FINAL = { S = true, F = true, C = true, D = true }
local pack, unpack_header = struct.pack, struct.unpack
local now = tonumber(ARGV[1])
if not now then
  local time = call('TIME')
  now = tonumber(time[1]) + tonumber(time[2]) / 1e6
end

local function has(flags, flag) return flags % (flag * 2) >= flag end

-- Give a command many words, a thousand at a time.
local function spread(command, key, words)
  for at = 1, #words, 1000 do call(command, key, unpack(words, at, math.min(at + 999, #words))) end
end

local function kept_for(seconds) return string.format('%d', math.ceil(seconds * 1000)) end

-- Words one after the other, each led by its length.
local function framed(words)
  local parts = {}
  for at = 1, #words do parts[at] = pack('>I4', #words[at]) .. words[at] end
  return table.concat(parts)
end

-- What is to be told to which channel; said once, at the end of the verb.
local told = {}
local function tell(channel, kind, id, record)
  local words = told[channel]
  if not words then
    words = {}
    told[channel] = words
  end
  if id then
    words[#words + 1] = id
    words[#words + 1] = record
  else
    words[kind] = true
  end
end

-- News of a task for whoever watches it, once: they watch again when they look again. With its record, where that is short.
local function news(id, record)
  local channels = call('HGET', P .. 'watch', id)
  if channels then
    call('HDEL', P .. 'watch', id)
    if not record or #record > CARRIED then record = '' end
    for channel in string.gmatch(channels, '[^ ]+') do tell(channel, 't', id, record) end
  end
end

-- Forget a task's record and stream.
local function forget(id, flags)
  call('DEL', P .. 'task:' .. id)
  if has(flags, STREAMED) then call('DEL', P .. 'events:' .. id, P .. 'trimmed:' .. id) end
end

-- A message ends or is deleted while it waits: a copy of it that another engine carries is not to run, whenever it comes.
local function remember(id, flags)
  if has(flags, HAS_COPIES) then call('SET', P .. 'gone:' .. id, now + DAY, 'EX', DAY) end
end

-- For people: lists of the latest endings, bounded, and cleaned of what is no longer kept.
local function list_ended(listed)
  for state, members in pairs(listed) do
    spread('LPUSH', P .. 'ended:' .. state, members)
    call('LTRIM', P .. 'ended:' .. state, 0, LISTED - 1)
  end
end
local function unlist_ended()
  for _, state in ipairs({ 'S', 'F', 'C' }) do
    local key = P .. 'ended:' .. state
    while true do
      local last = call('LRANGE', key, -1000, -1)
      local over = 0
      for at = #last, 1, -1 do
        if unpack_header('>d', last[at]) > now then break end
        over = over + 1
      end
      if over > 0 then call('LTRIM', key, 0, -over - 1) end
      if over < 1000 then break end
    end
  end
end

-- How long an ending is kept, in the forms that `finish` writes: the same for many messages, so made once for all of them.
-- `keeps_body`: it stays with the ending, for the plan of a workflow that is in it.
local function keeping(seconds, keeps_body)
  if seconds > 0 then return { until_then = pack('>d', now + seconds), span = kept_for(seconds), keeps_body = keeps_body } end
end

-- What stands behind the header and what leads it there: the ending or, of one that has not ended, why it is only to be ended.
local function body_of(key, head)
  return string.sub(call('GET', key), HEADER + unpack_header('>I4', head, 45) + 1)
end

-- Write how a message ended. `keep`: as above, nil: nothing is kept; state 'D': a dead letter, kept with its body.
local function finish(id, key, head, state, keep, ending, listed)
  local flags, record = string.byte(head, 2), nil
  if state == 'D' then
    local seq, body = unpack_header('>I8', head, FENCE_FROM), body_of(key, head)
    record = state .. string.sub(head, 2, 24) .. NOBODY .. string.sub(head, DUE_FROM, DUE_TO) .. pack('>dI4', 0, #ending) .. ending
    call('SET', key, record .. body)
    call('ZADD', P .. 'dead', seq, pack('>I8', seq) .. id)
  elseif not keep then
    forget(id, flags)
  else
    record = state .. string.sub(head, 2, 24) .. NOBODY .. string.sub(head, DUE_FROM, DUE_TO) .. keep.until_then
      .. pack('>I4', #ending) .. ending
    call('SET', key, keep.keeps_body and record .. body_of(key, head) or record, 'PX', keep.span)
    if has(flags, STREAMED) then
      call('PEXPIRE', P .. 'events:' .. id, keep.span)
      call('PEXPIRE', P .. 'trimmed:' .. id, keep.span)
    end
    local members = listed[state]
    if not members then
      members = {}
      listed[state] = members
    end
    members[#members + 1] = keep.until_then .. string.sub(head, 9, 16) .. id
  end
  if has(flags, WATCHED) then news(id, record) end
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
