-- Purpose: how much stands in each lane, and since when.
-- Keys: lanes, wait, carried, later, joins, running, task. Arguments: now. Result: name, number, queued, scheduled, running, due time of the oldest (or empty) of each lane.
-- "Oldest" looks at the first of each priority and of what is carried, so that a long line costs no more than a short one. One moment for all lanes.
local answer, lanes = {}, call('HGETALL', P .. 'lanes')
for at = 1, #lanes, 2 do
  local lane = lanes[at + 1]
  promote(lane)
  local line, oldest, from = P .. 'wait:' .. lane, '', '-inf'
  while true do
    local first = call('ZRANGEBYSCORE', line, from, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
    if #first == 0 then break end
    local head = call('GETRANGE', P .. 'task:' .. first[1], 0, HEADER - 1)
    if #head == HEADER then
      local _, _, _, _, _, _, _, _, due = unpack_header(FORMAT, head)
      if oldest == '' or due < tonumber(oldest) then oldest = string.format('%.6f', due) end
    end
    from = string.format('%.0f', (math.floor(tonumber(first[2]) / PLACES) + 1) * PLACES)
  end
  for _, start in ipairs({ '-inf', CONFIRMED }) do
    local first = call('ZRANGEBYSCORE', P .. 'carried:' .. lane, start, '+inf', 'LIMIT', 0, 1)[1]
    local head = first and call('GETRANGE', P .. 'task:' .. first, 0, HEADER - 1) or ''
    if #head == HEADER then
      local _, _, _, _, _, _, _, _, due = unpack_header(FORMAT, head)
      if oldest == '' or due < tonumber(oldest) then oldest = string.format('%.6f', due) end
    end
  end
  answer[#answer + 1] = lanes[at]
  answer[#answer + 1] = tonumber(lane)
  answer[#answer + 1] = call('ZCARD', line) + call('ZCARD', P .. 'carried:' .. lane)
  answer[#answer + 1] = call('ZCARD', P .. 'later:' .. lane) + call('ZCARD', P .. 'joins:' .. lane)
  answer[#answer + 1] = tonumber(call('HGET', P .. 'running', lane) or 0)
  answer[#answer + 1] = oldest
end
return answer
