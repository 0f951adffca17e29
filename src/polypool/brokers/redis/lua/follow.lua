-- Purpose: the part of a task's stream after a cursor.
-- Keys: task, events, trimmed, watch. Arguments: now, channel to be told of news on or empty, task id, cursor or empty.
-- Result: the cursor of the newest event dropped ("0-0": none), the record if it ended or empty, then the events; null for an unknown task.
-- Atomic, so that nothing can come between the look and the watch.
local id = ARGV[3]
local key = P .. 'task:' .. id
local head = call('GETRANGE', key, 0, HEADER - 1)
if #head < HEADER then return false end
local state, flags, _, _, _, _, _, _, _, keep, ending = unpack_header(FORMAT, head)
local record = ''
if FINAL[state] then
  if state ~= 'D' and keep <= now then return false end
  record = call('GETRANGE', key, 0, HEADER + ending - 1)
end
local answer = { '0-0', record }
if has(flags, STREAMED) then
  answer[1] = call('GET', P .. 'trimmed:' .. id) or '0-0'
  local after = ARGV[4] == '' and '-' or '(' .. ARGV[4]
  for _, entry in ipairs(call('XRANGE', P .. 'events:' .. id, after, '+')) do answer[#answer + 1] = entry[2][2] end
end
if #answer == 2 and record == '' and ARGV[2] ~= '' then watch(id, head, ARGV[2]) end
return answer
