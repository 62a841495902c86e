-- One character's line, as the scripts of turn-taking read it. Its rules are those of `local/line.rs`.

local ready, premiums, under_way, behind, both, run, ticket, lasts = 0, 0, 0, 0, 0, 0, 0, 0
local rooms = {}
-- The last of each class in line, where this script put it there.
local last = {}

-- For what is read and cannot be.
local function broken() error('the keys do not add up') end

local function read_line(record)
  if not record then return end
  local counts, a, b, c, d, e, f, g, h = '^(%d+)|(%d+)|(%d+)|(%d+)|(%d+)|(%d+)|(%d+)|(%d+)$'
  a, b, c, d, e, f, g, h = string.match(record, counts)
  if not a then broken() end
  ready, premiums, under_way, behind = tonumber(a), tonumber(b), tonumber(c), tonumber(d)
  both, run, ticket, lasts = tonumber(e), tonumber(f), tonumber(g), tonumber(h)
  -- Those that joined as premium when it was something are the first, as they were.
  if MOST == 0 then premiums = 0 end
end

-- A conversation without a record is idle.
local function learn(name, record)
  if rooms[name] then return end
  local told, pending, held, front, lane, seq = 'i', 0, '', '', 0, 0
  if record then
    told, pending, held, front, lane, seq = string.match(record, '^([^|]*)|(%d+)|([^|]*)|([^|]*)|(%d+)|(%d+)$')
    if not told then broken() end
    pending, lane, seq = tonumber(pending), tonumber(lane), tonumber(seq)
    if (pending > 0) ~= (front ~= '') or (pending > 1) ~= (lane > 0) or held == '' and front == '' then broken() end
  end
  rooms[name] = {
    name = name, told = told, pending = pending, held = held, front = front, lane = lane, seq = seq,
    is_ready = record and held == '',
  }
end

local function read(names)
  local records = redis.call('HMGET', ROOMS, unpack(names))
  for at, name in ipairs(names) do learn(name, records[at]) end
end

-- The conversation that the script is about, of what one.lua read.
local function open(records)
  read_line(records[1])
  learn(ARGV[7], records[2])
  return rooms[ARGV[7]]
end

local function is(turn, identity)
  return string.sub(turn, 1, #identity + 1) == identity .. ':'
end

local function is_front_premium(of)
  return MOST > 0 and string.sub(of.front, -2) == ':1'
end

-- How many are served before this one, or would be if it joined now.
local function before(of)
  local premium, rank
  if not of.is_ready then
    premium = is_front_premium(of)
    rank = premium and premiums or ready - premiums
  elseif last[true] == of then
    premium, rank = true, premiums - 1
  elseif last[false] == of then
    premium, rank = false, ready - premiums - 1
  else
    rank = redis.call('ZRANK', PLACES, of.name) or broken()
    premium = rank < premiums
    if not premium then rank = rank - premiums end
  end
  local left, of_other = math.max(MOST - run, 0), 0
  if not premium then
    of_other = math.min(left + rank * MOST, premiums)
  elseif rank >= left then
    of_other = math.min(1 + math.floor((rank - left) / MOST), ready - premiums)
  end
  return rank + of_other
end

local function state_of(of)
  if of.pending > 0 then return 'q' .. of.pending .. '.' .. before(of) + 1 end
  return of.held ~= '' and 'p' or 'i'
end
