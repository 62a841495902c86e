-- Gives a slot back and grants the next; comes after finish_last.lua. A turn that holds none leaves the line it stands in.
-- ARGV[7]  the conversation   ARGV[8]  `message:attempt`
-- Answers  granted and states, as enter does; nothing for a turn that is unknown

-- Takes it out of those that wait; true when it did.
local function take(of, identity)
  if is(of.front, identity) then
    advance(of)
  else
    local at = of.lane > 0 and redis.call('ZSCORE', TURNS, identity)
    if not at or math.floor(at / LANE) ~= of.lane then return false end
    redis.call('ZREM', TURNS, identity)
    shorten(of, 1)
  end
  taken(of)
  return true
end

local function finish()
  local of = open(RECORDS)
  check()
  if is(of.held, ARGV[8]) then
    release(of)
  elseif not take(of, ARGV[8]) then
    return {'', ''}
  end
  settle({of})
  save()
  return moved()
end

return attempt(finish)
