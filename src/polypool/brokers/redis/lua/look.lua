-- Purpose: whole records, for people. Keys: task. Arguments: now, ids. Result: a record or null for each. Reads only.
local records = {}
for at = 2, #ARGV do
  local record = call('GET', P .. 'task:' .. ARGV[at])
  if record and FINAL[string.sub(record, 1, 1)] and string.sub(record, 1, 1) ~= 'D' then
    local _, _, _, _, _, _, _, _, _, keep = unpack_header(FORMAT, record)
    if keep <= now then record = false end
  end
  records[at - 1] = record
end
return records
