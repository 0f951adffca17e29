-- Purpose: end what waits as cancelled, and tell the steps behind it; ask the holder of what runs.
-- Keys: task, wait, later, carried, joins, places, gone, asked, worker, ended, watch, hungry, parked. Arguments: now, names (see joins.lua), then for
-- each message: id, seconds to keep its ending, 1 where its body is kept, ending, signals.
-- Result: 1 or 0 for each (0: it had ended or is unknown).
-- Atomic, so that a message which is taken at the same moment is either ended or its holder asked.
local accepted, listed = {}, {}
local names, first = read_names(2)
for at = first, #ARGV, 5 do
  local id, is_accepted = ARGV[at], 0
  local key = P .. 'task:' .. id
  local head = call('GETRANGE', key, 0, HEADER - 1)
  if #head == HEADER then
    local state, flags, _, lane, _, _, _, worker = unpack_header(FORMAT, head)
    if WAITING[state] then
      if state == 'w' then leave_joins(id, lane, worker) else call('ZREM', P .. WAITING[state] .. lane, id) end
      remember(id, flags)
      finish(id, key, head, 'C', keeping(tonumber(ARGV[at + 1]), ARGV[at + 2] == '1'), ARGV[at + 3], listed)
      signal(names, ARGV[at + 4])
      is_accepted = 1
    elseif state == 'r' then
      if not has(flags, CANCELLED) then call('SETRANGE', key, 1, string.char(flags + CANCELLED)) end
      call('SADD', P .. 'asked:' .. worker, id)
      local channel = call('HGET', P .. 'worker:' .. worker, 'channel')
      if channel then tell(channel, 'o') end
      is_accepted = 1
    end
  end
  accepted[#accepted + 1] = is_accepted
end
flush()
list_ended(listed)
publish()
return accepted
