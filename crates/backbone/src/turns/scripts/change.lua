-- One character's line, as the scripts of turn-taking change it. Its rules are those of `local/lines.rs`.

local granted, served, states, changed = {}, {}, {}, {}
local is_line_changed, is_leased, is_released = false, false, false

-- Where keys do not add up (one was evicted, or written by another hand) nothing in them can be believed: they go, and
-- what is due is entered anew by who finds it in the store.
local kept = redis.call('HLEN', ROOMS)
if kept ~= math.min(kept, 1) + ready + under_way then
  redis.call('DEL', ROOMS, PLACES)
  kept, ready, under_way = 0, 0, 0
  index(nil)
end

local function change(of)
  if not of.is_changed then
    of.is_changed = true
    changed[#changed + 1] = of
  end
end

local function join(of)
  local premium = is_front_premium(of)
  if premium and premiums then premiums = premiums + 1 end
  redis.call('ZADD', PLACES, premium and ticket + FIRST_PREMIUM or ticket, of.name)
  last[premium] = of
  ready, ticket, of.is_ready, is_line_changed = ready + 1, ticket + 1, true, true
end

local function leave(of)
  premium_ready()
  if MOST > 0 and tonumber(redis.call('ZSCORE', PLACES, of.name) or 0) < 0 then premiums = premiums - 1 end
  redis.call('ZREM', PLACES, of.name)
  ready, of.is_ready = ready - 1, false
end

-- Gives a slot to the first of those that wait in a conversation. One where nothing waits loses its place.
local function hold(of)
  local turn, rest = string.match(of.waiting, '^,([^,]*)(,.*)$')
  if not turn then return redis.call('ZREM', PLACES, of.name) end
  of.held, of.waiting, of.pending = turn, rest, of.pending - 1
  redis.call('ZADD', PLACES, UNDER_WAY + now + LEASE, of.name)
  granted[#granted + 1] = of.name .. ':' .. turn
  served[#served + 1] = of
  under_way, is_leased = under_way + 1, true
  change(of)
end

local function release(of)
  redis.call('ZREM', PLACES, of.name)
  of.held, under_way, is_released = '', under_way - 1, true
  change(of)
end

-- Takes what begins with this out of those that wait; true when there was one.
local function take(of, beginning)
  local at, stop = string.find(of.waiting, ',' .. beginning .. ':', 1, true)
  if not at then return false end
  stop = string.find(of.waiting, ',', stop, true)
  of.waiting = string.sub(of.waiting, 1, at) .. string.sub(of.waiting, stop + 1)
  of.pending = of.pending - 1
  change(of)
  return true
end

-- Whether the next to be served is premium, and the run after it.
local function choose(has_premium, has_standard, run_now)
  if has_premium and has_standard and run_now < MOST then return true, run_now + 1 end
  return has_premium and not has_standard, 0
end

local function serve()
  while under_way < SLOTS and ready > 0 do
    local premium, run_after = choose(premium_ready() > 0, premium_ready() < ready, run)
    if run ~= run_after then run, is_line_changed = run_after, true end
    local rank = premium and 0 or premium_ready()
    local of = room(redis.call('ZRANGE', PLACES, rank, rank)[1])
    if premium then premiums = premiums - 1 end
    ready, of.is_ready = ready - 1, false
    hold(of)
  end
end

local function tell(of, state)
  of.is_told = true
  if of.told ~= state then
    states[#states + 1] = of.name .. ':' .. state
    of.told = state
    change(of)
  end
end

-- The first of those that wait for the character, in the order in which they will be served.
local function order()
  local told = math.min(TOLD, ready)
  if told == 0 then return {} end
  local premium_count = premium_ready()
  local standard = redis.call('ZRANGE', PLACES, premium_count, math.min(premium_count + told, ready) - 1)
  if premium_count == 0 then return standard end
  local premium = redis.call('ZRANGE', PLACES, 0, math.min(premium_count, told) - 1)
  local is_premium, run_then, p, s, all = nil, run, 1, 1, {}
  for at = 1, told do
    is_premium, run_then = choose(premium[p] ~= nil, standard[s] ~= nil, run_then)
    if is_premium then
      all[at], p = premium[p], p + 1
    else
      all[at], s = standard[s], s + 1
    end
  end
  return all
end

-- Tells those of the first that stood elsewhere before. Each of the first knows its place at any time, so that the place
-- needs to be kept in no record: `told` of one that waits for the character may name an older one.
local function tell_waiting(was)
  local places, now_at, moved = {}, order(), {}
  for at, name in ipairs(was) do places[name] = at end
  for at, name in ipairs(now_at) do
    if places[name] ~= at then moved[#moved + 1] = name end
    places[name] = at
  end
  if #moved == 0 then return end
  local records = redis.call('HMGET', ROOMS, unpack(moved))
  for at, name in ipairs(moved) do
    local of = rooms[name]
    local pending = of and of.pending or string.match(records[at] or '', '^[^|]*|(%d+)') or 0
    local state = 'q' .. pending .. '.' .. places[name]
    if not (of and of.is_told and of.told == state) then states[#states + 1] = name .. ':' .. state end
  end
end

-- Tells those whose reply is under way: what was granted just now, and others who wait for their own.
local function tell_under_way()
  for _, of in ipairs(served) do tell(of, state_of(of)) end
  local told = math.min(TOLD, under_way)
  if told <= #served then return end
  local latest = redis.call('ZRANGE', PLACES, 0, told - 1, 'REV')
  read(latest)
  for _, name in ipairs(latest) do tell(rooms[name], state_of(rooms[name])) end
end

-- After something left these rooms: who is next is served, who is affected is told.
local function settle(left)
  local was = order()
  for _, of in ipairs(left) do
    local waits = of.held == '' and of.pending > 0
    if waits and not of.is_ready then join(of) end
    if of.is_ready and not waits then leave(of) end
  end
  serve()
  for _, of in ipairs(left) do tell(of, state_of(of)) end
  tell_waiting(was)
  tell_under_way()
end

-- Writes what changed. Rooms that are idle go.
local function save()
  if ready == 0 and under_way == 0 then
    redis.call('DEL', ROOMS, PLACES)
  else
    local fields = {}
    if is_line_changed or kept == 0 then fields = {'.', run .. '|' .. ticket} end
    for _, of in ipairs(changed) do
      if of.held == '' and of.pending == 0 then
        redis.call('HDEL', ROOMS, of.name)
      else
        fields[#fields + 1] = of.name
        fields[#fields + 1] = of.told .. '|' .. of.pending .. '|' .. of.held .. '|' .. of.waiting
      end
      if #fields > 1000 then
        redis.call('HSET', ROOMS, unpack(fields))
        fields = {}
      end
    end
    if #fields > 0 then redis.call('HSET', ROOMS, unpack(fields)) end
    if is_leased then prolong() end
  end
  if is_leased or is_released then index(earliest_end()) end
end

local function moved()
  return table.concat(granted, ','), table.concat(states, ',')
end
