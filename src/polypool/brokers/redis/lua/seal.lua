-- Purpose: say for how many places a step waits that was put with an open number; if they are all marked, it goes to its lane.
-- Keys: task, joins, places, wait, later, hungry, parked. Arguments: now, id, places. Result: 1; 0 where it waits no longer or is unknown.
-- Atomic, so that no mark falls between the look at the places and the number.
local id, wanted = ARGV[2], tonumber(ARGV[3])
local head = head_of_waiting(id)
if not head then return 0 end
if unpack_header('>d', head, 37) == OPEN then
  if unpack_header('>I4', head, 25) >= wanted then
    let_go_on(id, head)
  else
    call('SETRANGE', P .. 'task:' .. id, 36, pack('>d', wanted))
  end
end
publish()
return 1
