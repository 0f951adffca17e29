-- Purpose: add events to the streams of tasks that are known; the oldest go where a stream is full.
-- Keys: task, events, trimmed, watch. Arguments: now, how many a stream keeps, then for each event: task id, run, number, body.
-- Result: how many were added. Atomic, so that a stream never outlives its task.
local kept, added, seen = tonumber(ARGV[2]), 0, {}

-- An event of a run that was overtaken meanwhile: the stream only grows at its end, so it is written anew. Rare, and short.
local function insert(key, trimmed, run, number, body)
  local place = run .. '-' .. number
  local function is_before(other, than_run, than_number)
    local its_run, its_number = string.match(other, '(%d+)-(%d+)')
    its_run, its_number = tonumber(its_run), tonumber(its_number)
    return its_run < than_run or (its_run == than_run and its_number < than_number)
  end
  if #call('XRANGE', key, place, place) > 0 then return 0 end
  if trimmed and not is_before(trimmed, tonumber(run), tonumber(number)) then return 0 end
  local entries = call('XRANGE', key, '-', '+')
  call('DEL', key)
  local is_written = false
  for _, entry in ipairs(entries) do
    if not is_written and not is_before(entry[1], tonumber(run), tonumber(number)) then
      call('XADD', key, place, 'e', body)
      is_written = true
    end
    call('XADD', key, entry[1], 'e', entry[2][2])
  end
  return 1
end

for at = 3, #ARGV, 4 do
  local id = ARGV[at]
  local stream = seen[id]
  if stream == nil then
    local head = call('GETRANGE', P .. 'task:' .. id, 0, HEADER - 1)
    stream = #head == HEADER and string.byte(head, 2)
    if stream and not has(stream, STREAMED) then
      call('SETRANGE', P .. 'task:' .. id, 1, string.char(stream + STREAMED))
    end
    seen[id] = stream
  end
  if stream then
    local key = P .. 'events:' .. id
    local reply = redis.pcall('XADD', key, ARGV[at + 1] .. '-' .. ARGV[at + 2], 'e', ARGV[at + 3])
    if type(reply) ~= 'table' then
      added = added + 1
    elseif string.find(reply.err, 'equal or smaller', 1, true) then
      added = added + insert(key, call('GET', P .. 'trimmed:' .. id), ARGV[at + 1], ARGV[at + 2], ARGV[at + 3])
    else
      return reply
    end
  end
end
for id, flags in pairs(seen) do
  if flags then
    local key = P .. 'events:' .. id
    local over = call('XLEN', key) - kept
    if over > 0 then
      local dropped = call('XRANGE', key, '-', '+', 'COUNT', over)
      call('SET', P .. 'trimmed:' .. id, dropped[#dropped][1])
      call('XTRIM', key, 'MAXLEN', kept)
    end
    local left = call('PTTL', P .. 'task:' .. id)
    if left > 0 then
      call('PEXPIRE', key, left)
      call('PEXPIRE', P .. 'trimmed:' .. id, left)
    end
    if has(flags, WATCHED) then news(id) end
  end
end
publish()
return added
