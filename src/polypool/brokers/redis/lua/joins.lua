-- What endings mean to the steps that wait for them (core/join.py): the moves of all verbs that end something. Stands behind line.lua.
-- Signals come as one argument for each ending, nine bytes a signal: m, b or d, the place of the step's id among the names, and then for m
-- (mark) the place that is marked, for b (break) the place of its cause among the names.
local OPEN = -1

-- Arguments from `at`: how many ids and causes, and these. Returns where they stand and where the arguments go on.
local function read_names(at) return at, at + 1 + tonumber(ARGV[at]) end

local function head_of_waiting(id)
  local head = call('GETRANGE', P .. 'task:' .. id, 0, HEADER - 1)
  if string.sub(head, 1, 1) == 'w' then return head end
end

-- It waits for no other step any more.
local function leave_joins(id, lane, marked)
  call('ZREM', P .. 'joins:' .. lane, id)
  if marked > 0 then call('DEL', P .. 'places:' .. id) end
end

-- To its lane: at its time, or with a cause at once.
local function let_go_on(id, head, cause)
  local key = P .. 'task:' .. id
  local _, flags, priority, lane, seq, token, deliveries, marked, due, _, before = unpack_header(FORMAT, head)
  leave_joins(id, lane, marked)
  if cause then due = nil elseif due < 0 then due = now - due end
  local state = enqueue(id, lane, priority, seq, due)
  local length = cause and #cause or before
  local new = pack(FORMAT, state, flags, priority, lane, seq, token, deliveries, 0, state == 's' and due or now, 0, length)
  if cause then call('SET', key, new .. cause .. body_of(key, head)) else call('SETRANGE', key, 0, new) end
end

local function drop(id, head)
  local flags, lane, marked = string.byte(head, 2), unpack_header('>I4', head, 5), unpack_header('>I4', head, 25)
  leave_joins(id, lane, marked)
  forget(id, flags)
  if has(flags, WATCHED) then news(id) end
end

-- How many of these places were not marked before.
local function set_places(id, places)
  local key, new = P .. 'places:' .. id, 0
  if #places == 1 then return 1 - call('SETBIT', key, places[1], 1) end
  for start = 1, #places, 250 do
    local words = {}
    for at = start, math.min(start + 249, #places) do
      words[#words + 1] = 'SET'
      words[#words + 1] = 'u1'
      words[#words + 1] = places[at]
      words[#words + 1] = '1'
    end
    for _, was in ipairs(call('BITFIELD', key, unpack(words))) do new = new + 1 - was end
  end
  return new
end

local function mark(id, places)
  local head = head_of_waiting(id)
  if not head then return end
  local wanted = unpack_header('>d', head, 37)
  if wanted == 1 then return let_go_on(id, head) end
  local before = unpack_header('>I4', head, 25)
  local marked = before + set_places(id, places)
  if marked > before then
    head = string.sub(head, 1, 24) .. pack('>I4', marked) .. string.sub(head, 29)
    if wanted ~= OPEN and marked >= wanted then return let_go_on(id, head) end
    call('SETRANGE', P .. 'task:' .. id, 24, pack('>I4', marked))
  end
end

-- Marks are collected, and made for many members of a join at once: with `flush`, at the end of the verb and before whatever they could be mixed up with.
local marks = {}
local function flush()
  for id, places in pairs(marks) do mark(id, places) end
  marks = {}
end

local function signal(names, signals)
  for at = 1, #signals, 9 do
    local kind, name, value = unpack_header('>c1I4I4', signals, at)
    local id = ARGV[names + name]
    local places = marks[id]
    if kind == 'm' then
      if places then places[#places + 1] = value else marks[id] = { value } end
    else
      if places then
        mark(id, places)
        marks[id] = nil
      end
      local head = head_of_waiting(id)
      if head and kind == 'b' then let_go_on(id, head, ARGV[names + value]) elseif head then drop(id, head) end
    end
  end
end
