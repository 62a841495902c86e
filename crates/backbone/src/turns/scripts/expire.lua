-- Takes back slots whose lease is over and grants them anew.
-- Answers  granted and states, as enter does, how many lost their slot, and the earliest end of a lease that is left
--          (0 without one)

local lost = redis.call('ZRANGE', PLACES, UNDER_WAY, UNDER_WAY + now, 'BYSCORE', 'LIMIT', 0, 1000)
if #lost > 0 then
  local left = {}
  read(lost)
  for at, name in ipairs(lost) do
    left[at] = rooms[name]
    release(rooms[name])
  end
  settle(left)
  save()
else
  index(earliest_end())
end
local of_granted, of_states = moved()
return {of_granted, of_states, #lost, earliest_end() or 0}
