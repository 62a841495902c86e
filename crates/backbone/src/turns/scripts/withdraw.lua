-- Takes messages out of their conversation's line; a granted one keeps its slot.
-- ARGV[7]  the conversation   ARGV[8] and on  the messages
-- Answers  granted and states, as enter does

local named = {}
for at = 8, #ARGV do named[ARGV[at]] = true end

local function is_named(turn)
  return named[string.match(turn, '^[^:]*')]
end

local function withdraw()
  local of, gone = open(RECORDS), {}
  check()
  local pending = of.pending
  if of.lane > 0 then
    local first = of.lane * LANE
    for _, turn in ipairs(redis.call('ZRANGE', TURNS, first, first + LANE - 1, 'BYSCORE')) do
      if is_named(turn) then gone[#gone + 1] = turn end
    end
  end
  for at = 1, #gone, 1000 do redis.call('ZREM', TURNS, unpack(gone, at, math.min(at + 999, #gone))) end
  shorten(of, #gone)
  if is_named(of.front) then advance(of) end
  if of.pending == pending then return {'', ''} end
  taken(of)
  settle({of})
  save()
  return moved()
end

return attempt(withdraw)
