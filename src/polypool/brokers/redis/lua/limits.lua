-- Purpose: the meters of keys that begin so, a page at a time. Keys: limits.
-- Arguments: now, prefix, cursor of the page. Result: now, cursor of the next page ("0": none), then key and meter of each. Reads only.
local prefix = ARGV[2]
local page = call('HSCAN', P .. 'limits', ARGV[3], 'COUNT', 500)
local answer = { string.format('%.17g', now), page[1] }
for at = 1, #page[2], 2 do
  if string.sub(page[2][at], 1, #prefix) == prefix then
    answer[#answer + 1] = page[2][at]
    answer[#answer + 1] = page[2][at + 1]
  end
end
return answer
