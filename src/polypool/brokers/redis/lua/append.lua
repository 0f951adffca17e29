-- Purpose: add events to the streams of tasks that are known; the oldest go where a stream is full.
-- Keys: task, events, trimmed, watch. Arguments: now, how many a stream keeps, then for each event: task id, run, number, body.
-- Result: how many were added. Atomic, so that a stream never outlives its task.
local kept, added, seen = tonumber(ARGV[2]), 0, {}
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
    -- An event that is there already, or comes from a run that was overtaken, is refused by the stream itself.
    local reply = redis.pcall('XADD', P .. 'events:' .. id, ARGV[at + 1] .. '-' .. ARGV[at + 2], 'e', ARGV[at + 3])
    if type(reply) ~= 'table' then
      added = added + 1
    elseif not string.find(reply.err, 'equal or smaller', 1, true) then
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
