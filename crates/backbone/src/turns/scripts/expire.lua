-- Takes back slots whose lease is over and grants them anew.
-- Answers  granted and states, as enter does, how many lost their slot, and the earliest end of a lease that is left
--          (0 without one)

local lost, count = redis.call('ZRANGE', PLACES, UNDER_WAY, UNDER_WAY + now(), 'BYSCORE', 'LIMIT', 0, 1000), 0

local function take_back()
  read_line(redis.call('HGET', ROOMS, '.'))
  check()
  read(lost)
  local left = {}
  for at, name in ipairs(lost) do
    left[at] = rooms[name]
    release(rooms[name])
  end
  settle(left)
  save()
  count = #lost
  return moved()
end

local answer = #lost > 0 and attempt(take_back) or {'', ''}
local ends = earliest_end()
index(ends)
return {answer[1], answer[2], count, ends or 0}
