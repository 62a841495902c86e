-- One character's line, as the scripts of turn-taking read it. Its rules are those of `local/line.rs`.

local ready, under_way = redis.call('ZCARD', PLACES), 0
if ready > 0 then
  under_way = redis.call('ZCOUNT', PLACES, UNDER_WAY, '+inf')
  ready = ready - under_way
end
local run, ticket, is_line_read = 0, 0, false
local premiums
local rooms = {}
-- The last of each class in line, where this script put it there.
local last = {}

-- How many of the ready ones are premium.
local function premium_ready()
  premiums = premiums or (MOST > 0 and ready > 0 and redis.call('ZCOUNT', PLACES, '-inf', '(0') or 0)
  return premiums
end

-- Reads these rooms, and the line's own field. One that is not there is idle.
local function read(names)
  local records = redis.call('HMGET', ROOMS, '.', unpack(names))
  if not is_line_read then
    local of_run, of_ticket = string.match(records[1] or '', '^(%d+)|(%d+)$')
    run, ticket, is_line_read = tonumber(of_run) or 0, tonumber(of_ticket) or 0, true
  end
  for at, name in ipairs(names) do
    if not rooms[name] then
      local told, pending, held, waiting = string.match(records[at + 1] or '', '^([^|]*)|(%d+)|([^|]*)|(,.*)$')
      rooms[name] = {
        name = name, told = told or 'i', pending = tonumber(pending) or 0, held = held or '', waiting = waiting or ',',
        is_ready = held == '',
      }
    end
  end
end

local function room(name)
  if not rooms[name] then read({name}) end
  return rooms[name]
end

local function is_front_premium(of)
  return MOST > 0 and string.match(of.waiting, '^,[^,]*:(%d),') == '1'
end

-- How many are served before this one, or would be if it joined now.
local function before(of)
  local premium_count, premium, rank = premium_ready(), nil, nil
  if of.is_ready then
    if last[true] == of then
      premium, rank = true, premium_count - 1
    elseif last[false] == of then
      premium, rank = false, ready - premium_count - 1
    else
      premium = MOST > 0 and tonumber(redis.call('ZSCORE', PLACES, of.name) or 0) < 0
      rank = redis.call('ZRANK', PLACES, of.name) or ready
      if not premium then rank = rank - premium_count end
    end
  else
    premium = is_front_premium(of)
    rank = premium and premium_count or ready - premium_count
  end
  local left, of_other = math.max(MOST - run, 0), 0
  if not premium then
    of_other = math.min(left + rank * MOST, premium_count)
  elseif rank >= left then
    of_other = math.min(1 + math.floor((rank - left) / MOST), ready - premium_count)
  end
  return rank + of_other
end

local function state_of(of)
  if of.pending > 0 then return 'q' .. of.pending .. '.' .. before(of) + 1 end
  return of.held ~= '' and 'p' or 'i'
end
