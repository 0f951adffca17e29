-- Purpose: what is known of messages.
-- Keys: task, watch. Arguments: now, channel to be told of news on (or empty: none wanted), how much of what has not ended (bytes), then ids.
-- Result: a record for each, whole if it ended; otherwise its beginning, without why it is only to be ended; null for what is unknown.
-- Atomic, so that nothing can end between the look and the watch.
local records, channel, length = {}, ARGV[2], tonumber(ARGV[3])
for at = 4, #ARGV do
  local id = ARGV[at]
  local key = P .. 'task:' .. id
  local record = call('GETRANGE', key, 0, length - 1)
  if #record < HEADER then
    record = false
  elseif FINAL[string.sub(record, 1, 1)] then
    local state, _, _, _, _, _, _, _, _, keep, ending = unpack_header(FORMAT, record)
    if state ~= 'D' and keep <= now then
      record = false
    elseif HEADER + ending > #record then
      record = call('GETRANGE', key, 0, HEADER + ending - 1)
    end
  else
    if channel ~= '' then watch(id, record, channel) end
    local before = unpack_header('>I4', record, 45)
    if before > 0 and length > HEADER then
      record = string.sub(record, 1, 44) .. NOBODY .. call('GETRANGE', key, HEADER + before, before + length - 1)
    end
  end
  records[at - 3] = record
end
return records
