#!lua
-- Asks sliding windows: every question is admitted and counted, or none is counted.
--
-- A window is a string: a log of its admissions, oldest first, then its state. The log has a pair for each millisecond
-- that admitted something: the millisecond (6 bytes) and how many (4). The state is the last 44 bytes:
--   shift    what the window's own time is ahead of the clock; its time never goes back, though the clock may
--   born     when the window began; names that were counted before are none of its
--   blocked  until when everything is refused
--   till     when the key expires, as of the last time that was set
--   first    the millisecond of the oldest pair that counts
--   counted  admissions in all pairs that count
--   head     the offset in the log of that oldest pair; what is before it has left the window
--   size     the length of the log
-- Times are milliseconds of the window's own time. Numbers are little-endian.
--
-- KEYS  first the windows, one a question, each another; then a key for the name of each question that has one
-- ARGV  for each question: limit, window and block in milliseconds; then for each name: its question's number, from 1
-- Answers  for each question 25 bytes: what became of it (1), the wait in ms where it was refused (6), admissions in the
--          window (6), ms until the oldest leaves or the block ends (6), and the window's time (6)
local call, pack, read = redis.call, struct.pack, struct.unpack
local PAIR, STATE = '<I6I4', '<I6I6I6I6I6I6I4I4'
local COUNTED, FREE, FULL, BLOCKED = 0, 1, 2, 3

-- Expiry is set by this time too: Redis counts a relative one from when the script began.
local time = call('TIME')
local clock = time[1] * 1000 + math.floor(time[2] / 1000)
local questions = (#ARGV - #KEYS) / 2
local refused, named, counted_names, plan = false, 0, nil, nil

-- Writes what the judgement of a question changed, and answers it. Locals instead of a table: this is the hot path.
local function finish(key, became, wait, span, now, changed,
                      shift, born, blocked, till, first, counted, head, size, last, latest)
  local counts = became == COUNTED and not refused
  if counts or changed then
    local at, tail, life = size, '', last + span - now
    if counts then
      if last == now then
        at, latest = at - 10, latest + 1
      else
        latest = 1
      end
      if counted == 0 then first = now end
      counted, tail, life = counted + 1, pack(PAIR, now, latest), span
    end
    life = math.max(life, blocked - now)
    if at > 0 and (head < 500 or head * 2 < at) then
      if till < now + life then
        -- Not at each admission of a busy window; within what TTL rounds away.
        life = life + math.min(400, math.floor(life / 64))
        till = now + life
        call('PEXPIREAT', key, clock + life)
      end
      call('SETRANGE', key, at, tail .. pack(STATE, shift, born, blocked, till, first, counted, head, at + #tail))
    elseif life > 0 then
      -- It is new, or more than half of it has left.
      local log = tail
      if head < at then log = call('GETRANGE', key, head, at - 1) .. tail end
      call('SET', key, log .. pack(STATE, shift, born, blocked, now + life, first, counted, 0, #log), 'PXAT', clock + life)
    end
  end
  local reset = 0
  if now < blocked then
    reset = blocked - now
  elseif counted > 0 then
    reset = first + span - now
  end
  return pack('<I1I6I6I6I6', became, wait, counted, reset, now)
end

for i = 1, questions do
  local key, limit, span, block = KEYS[i], tonumber(ARGV[3 * i - 2]), tonumber(ARGV[3 * i - 1]), tonumber(ARGV[3 * i])

  -- The window as it is now.
  local text = redis.pcall('GETRANGE', key, '-54', '-1')
  if text.err then
    -- Something of another system that had this name.
    call('DEL', key)
    text = ''
  end
  local known, now, changed, last, latest = text ~= '', clock, false, 0, 0
  local shift, born, blocked, till, first, counted, head, size = 0, clock, 0, 0, 0, 0, 0, 0
  if known then
    shift, born, blocked, till, first, counted, head, size = read(STATE, text, #text - 43)
    now = clock + shift
    if size > 0 then last, latest = read(PAIR, text) end
    if last > now then
      -- The clock was set back: as if no time had passed since the last admission.
      shift, now, changed = shift + last - now, last, true
    end
    blocked = math.min(blocked, now + block)
    if last + span <= now then
      counted, head, size, last = 0, 0, 0, 0
    elseif first + span <= now then
      local part, from = '', 1
      repeat
        if from > #part then part, from = call('GETRANGE', key, head, head + 319), 1 end
        local at, count = read(PAIR, part, from)
        first = at
        if at + span <= now then head, counted, from = head + 10, counted - count, from + 10 end
      until first + span > now
    end
  end

  -- Its judgement.
  local became, wait = COUNTED, 0
  if now < blocked then
    became, wait = BLOCKED, blocked - now
  else
    if tonumber(ARGV[3 * questions + named + 1]) == i then
      named = named + 1
      local name = KEYS[questions + named]
      local seen = call('SET', name, now, 'PXAT', clock + span, 'NX', 'GET')
      if seen and tonumber(seen) >= born and seen + span > now then
        became = FREE
      else
        if seen then call('SET', name, now, 'PXAT', clock + span) end
        counted_names = counted_names or {}
        counted_names[#counted_names + 1] = name
      end
    end
    local excess = counted + 1 - limit
    if became == COUNTED and excess > 0 then
      became, wait = FULL, span
      if excess <= counted then
        -- Until so many have left.
        local part, from, offset = '', 1, head
        repeat
          if from > #part then part, from = call('GETRANGE', key, offset, offset + 319), 1 end
          local at, count = read(PAIR, part, from)
          wait, excess, offset, from = at + span - now, excess - count, offset + 10, from + 10
        until excess <= 0
      end
      if block > 0 and known then
        became, blocked, changed, wait = BLOCKED, now + block, true, math.max(wait, block)
      end
    end
  end
  refused = refused or wait > 0
  if questions == 1 then
    if refused and counted_names then call('DEL', counted_names[1]) end
    return finish(key, became, wait, span, now, changed,
                  shift, born, blocked, till, first, counted, head, size, last, latest)
  end
  plan = plan or {}
  plan[i] = { key, became, wait, span, now, changed,
              shift, born, blocked, till, first, counted, head, size, last, latest }
end

if refused and counted_names then call('DEL', unpack(counted_names)) end
local answers = ''
for i = 1, questions do answers = answers .. finish(unpack(plan[i])) end
return answers
