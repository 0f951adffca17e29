-- Purpose: give dead letters their runs back, or delete dead letters and what waits, and tell the steps behind that.
-- Keys: task, wait, later, carried, joins, places, gone, dead, watch, hungry, parked. Arguments: now, "requeue" or "purge", 1 for dead letters or 0 for
-- what waits, names (see joins.lua), then for each: id, signals for what waits.
-- Result: how many it was. Atomic, so that nothing is acted on that was taken or requeued meanwhile.
local count = 0
local names, first = read_names(4)
for at = first, #ARGV, 2 do
  local id = ARGV[at]
  local key = P .. 'task:' .. id
  local head = call('GETRANGE', key, 0, HEADER - 1)
  if #head == HEADER then
    local state, flags, priority, lane, seq, token, _, worker = unpack_header(FORMAT, head)
    local is_wanted = state == 'D'
    if ARGV[3] ~= '1' then is_wanted = WAITING[state] ~= nil end
    if is_wanted then
      count = count + 1
      if state == 'D' then call('ZREM', P .. 'dead', pack('>I8', seq) .. id) end
      if ARGV[2] == 'requeue' then
        local body = body_of(key, head)
        if has(flags, CANCELLED) then flags = flags - CANCELLED end
        enqueue(id, lane, priority, seq, nil)
        call('SET', key, pack(FORMAT, 'q', flags, priority, lane, seq, token, 0, 0, now, 0, 0) .. body)
      else
        if state == 'w' then leave_joins(id, lane, worker) elseif state ~= 'D' then call('ZREM', P .. WAITING[state] .. lane, id) end
        remember(id, flags)
        forget(id, flags)
        if has(flags, WATCHED) then news(id) end
        if state ~= 'D' then signal(names, ARGV[at + 1]) end
      end
    end
  end
end
flush()
publish()
return count
