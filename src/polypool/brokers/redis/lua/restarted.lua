-- Purpose: leases begin anew when the server was away, once for each life of it: nobody could beat meanwhile.
-- Keys: served, leases, worker, holders, terms. Arguments: now, what tells this life of the server from others.
-- Result: how many leases. Atomic, and run before the other verbs of a connection, so that none of them ends a lease first.
if ARGV[2] == '' or call('GET', P .. 'served') == ARGV[2] then return 0 end
call('SET', P .. 'served', ARGV[2])
local workers = call('ZRANGE', P .. 'leases', 0, -1)
for _, worker in ipairs(workers) do
  local lease = tonumber(call('HGET', P .. 'worker:' .. worker, 'lease') or 6)
  call('ZADD', P .. 'leases', 'GT', now + lease, worker)
end
local holders = call('ZRANGE', P .. 'holders', 0, -1)
for _, holder in ipairs(holders) do call('ZADD', P .. 'holders', 'GT', now + tonumber(call('HGET', P .. 'terms', holder)), holder) end
return #workers + #holders
