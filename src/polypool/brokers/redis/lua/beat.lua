-- Purpose: renew a worker's lease, add up what it measured, put back what silent workers held.
-- Keys: names, worker, leases, known, held, asked, tally, tallies, ended. Arguments: now, worker's name, its run, its heartbeat,
-- lease in seconds, channel for orders, 1 if it leaves, number of its report or 0, then for each tally: its name, number of fields, and name, 'i' 'f' or 'm' (add whole, add, greatest) and
-- value of each.
-- Result: 1 if its lease had ended, then the ids that it holds and is to cancel.
-- Atomic, so that a lease is not renewed after others were given what it covered.
local name, run, channel, is_leaving, report = ARGV[2], ARGV[3], ARGV[6], ARGV[7] == '1', tonumber(ARGV[8])
local worker = call('HGET', P .. 'names', name)
local is_fenced = false
if worker then
  local lease = call('ZSCORE', P .. 'leases', worker)
  local is_same = call('HGET', P .. 'worker:' .. worker, 'run') == run
  is_fenced = is_same and (not lease or tonumber(lease) <= now)
  if is_fenced or not is_same then put_back(worker) end
  if not is_same then call('DEL', P .. 'worker:' .. worker) end
end
-- Told already, though its answer got lost: not to be added up again. One that has left has told all.
local is_told = is_leaving and not worker
if worker then is_told = report <= tonumber(call('HGET', P .. 'worker:' .. worker, 'report') or 0) end
is_told = is_told and report > 0
if is_leaving then
  if worker then
    put_back(worker)
    call('HDEL', P .. 'names', name)
    call('ZREM', P .. 'leases', worker)
    call('ZREM', P .. 'known', worker)
    call('DEL', P .. 'worker:' .. worker)
  end
else
  if not worker then
    worker = call('INCR', P .. 'workers')
    call('HSET', P .. 'names', name, worker)
  end
  call('HSET', P .. 'worker:' .. worker, 'name', name, 'run', run, 'beat', ARGV[4], 'lease', ARGV[5], 'channel', channel,
    'report', report)
  call('ZADD', P .. 'leases', now + tonumber(ARGV[5]), worker)
  call('ZADD', P .. 'known', now, worker)
end
local at = 9
while at <= #ARGV and not is_told do
  local tally = P .. 'tally:' .. ARGV[at]
  call('SADD', P .. 'tallies', ARGV[at])
  local last = at + 2 + tonumber(ARGV[at + 1]) * 3
  for field = at + 2, last - 1, 3 do
    local key, kind, value = ARGV[field], ARGV[field + 1], ARGV[field + 2]
    if kind == 'i' then
      call('HINCRBY', tally, key, value)
    elseif kind == 'f' then
      call('HINCRBYFLOAT', tally, key, value)
    elseif tonumber(value) > tonumber(call('HGET', tally, key) or '-inf') then
      call('HSET', tally, key, value)
    end
  end
  at = last
end
reap()
unlist_ended()
for _, gone in ipairs(call('ZRANGEBYSCORE', P .. 'known', '-inf', now - 86400)) do
  call('HDEL', P .. 'names', call('HGET', P .. 'worker:' .. gone, 'name'))
  call('ZREM', P .. 'known', gone)
  call('DEL', P .. 'worker:' .. gone)
end
publish()
local answer = { is_fenced and 1 or 0 }
if not is_leaving then
  for _, id in ipairs(call('SMEMBERS', P .. 'asked:' .. worker)) do answer[#answer + 1] = id end
end
return answer
