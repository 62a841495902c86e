-- One character's line, as the scripts of turn-taking change it. Its rules are those of `local/lines.rs`.

local granted, served, states, changed = {}, {}, {}, {}
local ready_before, premiums_before, run_before

-- Whether all keys are there, and of one time.
local function check()
  local count = ready + under_way
  local is_whole = redis.call('HLEN', ROOMS) == count + math.min(count, 1)
    and redis.call('ZCARD', PLACES) == count
    and (behind == 0 or redis.call('ZCARD', TURNS) == behind)
  if not is_whole or ticket > LAST_TICKET then broken() end
  ready_before, premiums_before, run_before = ready, premiums, run
end

-- Where keys do not add up (one was evicted, or written by another hand) nothing in them can be believed: they go, and
-- what is due is entered anew by who finds it in the store.
local function attempt(body, otherwise)
  local is_whole, answer = pcall(body)
  if is_whole then return answer end
  redis.call('DEL', ROOMS, PLACES, TURNS)
  index(nil)
  return otherwise and otherwise() or {'', ''}
end

local function change(of)
  if not of.is_changed then
    of.is_changed = true
    changed[#changed + 1] = of
  end
end

-- Puts a turn behind those that wait in a conversation; false when it waits already.
local function append(of, identity, premium)
  if is(of.held, identity) or is(of.front, identity) then return false end
  if of.pending == 0 then
    of.front = identity .. ':' .. premium
    if of.held ~= '' then both = both + 1 end
  else
    if of.lane == 0 then ticket = ticket + 1 end
    local lane, seq = of.lane > 0 and of.lane or ticket, of.seq + 1
    if seq > LAST_SEQ then broken() end
    if redis.call('ZADD', TURNS, 'NX', lane * LANE + seq * 2 + premium, identity) == 0 then return false end
    if behind == 0 then
      local left = redis.call('PTTL', ROOMS)
      redis.call('PEXPIRE', TURNS, left > 0 and left or KEEP)
    end
    of.lane, of.seq, behind = lane, seq, behind + 1
  end
  of.pending = of.pending + 1
  change(of)
  return true
end

-- After so many left from behind the front of a conversation.
local function shorten(of, by)
  of.pending, behind = of.pending - by, behind - by
  if of.pending < 2 then of.lane, of.seq = 0, 0 end
end

-- Takes the front of those that wait away: the next is it.
local function advance(of)
  if of.pending < 2 then
    of.front, of.pending = '', 0
    return
  end
  local first = of.lane * LANE
  local next = redis.call('ZRANGE', TURNS, first, first + LANE - 1, 'BYSCORE', 'LIMIT', 0, 1, 'WITHSCORES')
  if not next[1] then broken() end
  redis.call('ZREM', TURNS, next[1])
  of.front = next[1] .. ':' .. next[2] % 2
  shorten(of, 1)
end

-- To be called when turns that wait were taken out of the line of a conversation.
local function taken(of)
  if of.held ~= '' and of.pending == 0 then both = both - 1 end
  change(of)
end

-- Gives a slot to the first of those that wait in a conversation.
local function hold(of)
  if of.held ~= '' or of.front == '' then broken() end
  of.held = of.front
  advance(of)
  redis.call('ZADD', PLACES, UNDER_WAY + now() + LEASE, of.name)
  granted[#granted + 1] = of.name .. ':' .. of.held
  served[#served + 1] = of
  under_way = under_way + 1
  if of.pending > 0 then both = both + 1 end
  change(of)
end

-- Its place is left to `settle`: it may be served again, or join.
local function release(of)
  if of.held == '' then broken() end
  if of.pending > 0 then both = both - 1 end
  of.held, under_way = '', under_way - 1
  change(of)
end

-- Lets some join the line and some leave it, and serves so many. Answers the first of the line before and after; nothing
-- where nobody but these can have moved. (What a script may not need it makes when it does: functions cost as well.)
local function move(joins, leaves, serves)
  local function join(of)
    local premium = is_front_premium(of)
    ticket = ticket + 1
    redis.call('ZADD', PLACES, premium and ticket + FIRST_PREMIUM or ticket, of.name)
    if premium then premiums = premiums + 1 end
    last[premium] = of
    ready, of.is_ready = ready + 1, true
  end

  local function leave(of)
    local rank = redis.call('ZRANK', PLACES, of.name) or broken()
    if rank < premiums then premiums = premiums - 1 end
    redis.call('ZREM', PLACES, of.name)
    ready, of.is_ready = ready - 1, false
  end

  -- Whether the next to be served is premium, and the run after it.
  local function choose(has_premium, has_standard, run_now)
    if has_premium and has_standard and run_now < MOST then return true, run_now + 1 end
    return has_premium and not has_standard, 0
  end

  -- The first of those that wait for the character, in the order in which they will be served.
  local function order(count)
    count = math.min(count, ready)
    if count == 0 then return {} end
    local standard = {}
    if premiums < ready then
      standard = redis.call('ZRANGE', PLACES, premiums, math.min(premiums + count, ready) - 1)
    end
    if premiums == 0 then return standard end
    local premium = redis.call('ZRANGE', PLACES, 0, math.min(premiums, count) - 1)
    local is_premium, run_then, p, s, all = nil, run, 1, 1, {}
    for at = 1, count do
      is_premium, run_then = choose(premium[p] ~= nil, standard[s] ~= nil, run_then)
      if is_premium then
        all[at], p = premium[p], p + 1
      else
        all[at], s = standard[s], s + 1
      end
    end
    return all
  end

  -- Serves so many, who are the first of this order.
  local function serve(first, count)
    if #first < count then broken() end
    for at = 1, count do
      if not rooms[first[at]] then read({unpack(first, at, math.min(at + 999, count))}) end
      local premium, run_after = choose(premiums > 0, premiums < ready, run)
      local of = rooms[first[at]]
      if not of or not of.is_ready then broken() end
      if premium then premiums = premiums - 1 end
      run, ready, of.is_ready = run_after, ready - 1, false
      hold(of)
    end
  end

  local is_plain = premiums == 0
  for _, of in ipairs(joins) do is_plain = is_plain and not is_front_premium(of) end
  local is_at_end = is_plain and #leaves == 0
  local count, was, first = TOLD + serves, nil, nil
  if not is_at_end or serves > 0 then
    first = order(count)
    was = {unpack(first, 1, math.min(#first, TOLD))}
  end
  for _, of in ipairs(leaves) do leave(of) end
  for _, of in ipairs(joins) do join(of) end
  if not was then return end
  if not is_at_end then
    first = order(count)
  else
    for _, of in ipairs(joins) do
      if #first < count then first[#first + 1] = of.name end
    end
  end
  serve(first, serves)
  return was, {unpack(first, serves + 1, math.min(#first, count))}
end

-- The same, and serves who is next. The only one that waits is served without standing in the line.
local function shift(joins, leaves)
  local serves = math.max(math.min(SLOTS - under_way, ready + #joins - #leaves), 0)
  if #joins + #leaves + serves == 0 then return end
  if #joins == 1 and ready == 0 and serves == 1 then
    run = 0
    return hold(joins[1])
  end
  return move(joins, leaves, serves)
end

local function tell(of, state)
  of.is_told = true
  if of.told ~= state then
    states[#states + 1] = of.name .. ':' .. state
    of.told = state
    change(of)
  end
end

-- Tells those of the first that stood elsewhere before. Each of the first knows its place at any time, so that the place
-- needs to be kept in no record: `told` of one that waits for the character may name an older one.
local function tell_waiting(was, now_at)
  local moved, places = {}, {}
  for at, name in ipairs(now_at) do
    if was[at] ~= name then moved[#moved + 1], places[#moved + 1] = name, at end
  end
  -- Where nothing is behind a front, each that waits has one turn.
  local records = #moved > 0 and behind > 0 and redis.call('HMGET', ROOMS, unpack(moved))
  for at, name in ipairs(moved) do
    local of, pending = rooms[name], 1
    if of then
      pending = of.pending
    elseif records then
      pending = string.match(records[at] or '', '^[^|]*|(%d+)') or broken()
    end
    local state = 'q' .. pending .. '.' .. places[at]
    if not (of and of.is_told and of.told == state) then states[#states + 1] = name .. ':' .. state end
  end
end

-- Tells those whose reply is under way: what was granted just now, and others who wait for their own, where those who
-- would be served before them can have changed.
local function tell_under_way()
  for _, of in ipairs(served) do tell(of, state_of(of)) end
  if ready == ready_before and premiums == premiums_before and run == run_before then return end
  local others = both
  for _, of in ipairs(changed) do
    if of.is_told and of.held ~= '' and of.pending > 0 then others = others - 1 end
  end
  if others <= 0 or TOLD == 0 then return end
  local latest = redis.call('ZRANGE', PLACES, 0, math.min(TOLD, under_way) - 1, 'REV')
  read(latest)
  for _, name in ipairs(latest) do
    if rooms[name].held ~= '' then tell(rooms[name], state_of(rooms[name])) end
  end
end

-- After something left these rooms: who is next is served, who is affected is told.
local function settle(left)
  local joins, leaves = {}, {}
  for _, of in ipairs(left) do
    local waits = of.held == '' and of.pending > 0
    if waits and not of.is_ready then joins[#joins + 1] = of end
    if of.is_ready and not waits then leaves[#leaves + 1] = of end
  end
  local was, now_at = shift(joins, leaves)
  local idle = {}
  for _, of in ipairs(left) do
    if of.held == '' and of.pending == 0 then idle[#idle + 1] = of.name end
  end
  if #idle > #leaves and ready + under_way > 0 then redis.call('ZREM', PLACES, unpack(idle)) end
  for _, of in ipairs(left) do tell(of, state_of(of)) end
  if was then tell_waiting(was, now_at) end
  tell_under_way()
end

-- Writes what changed. Rooms that are idle go.
local function save()
  if ready == 0 and under_way == 0 then
    redis.call('DEL', ROOMS, PLACES, TURNS)
    return index(nil)
  end
  if #served > 0 then
    cover()
    -- Not each time: some of it may be over when the next comes.
    if now() + KEEP - lasts > LEASE / 4 then
      prolong(behind > 0)
      lasts = now() + KEEP
    end
  end
  local counts = ready .. '|' .. premiums .. '|' .. under_way .. '|' .. behind .. '|' .. both
  local fields, idle = {'.', counts .. '|' .. run .. '|' .. ticket .. '|' .. lasts}, {}
  for _, of in ipairs(changed) do
    if of.held == '' and of.pending == 0 then
      idle[#idle + 1] = of.name
    else
      fields[#fields + 1] = of.name
      fields[#fields + 1] =
        of.told .. '|' .. of.pending .. '|' .. of.held .. '|' .. of.front .. '|' .. of.lane .. '|' .. of.seq
    end
    if #fields > 1000 then
      redis.call('HSET', ROOMS, unpack(fields))
      fields = {}
    end
  end
  if #fields > 0 then redis.call('HSET', ROOMS, unpack(fields)) end
  if #idle > 0 then redis.call('HDEL', ROOMS, unpack(idle)) end
end

local function moved()
  return {table.concat(granted, ','), table.concat(states, ',')}
end
