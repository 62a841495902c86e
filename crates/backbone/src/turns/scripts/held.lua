-- Those turns of one character that hold a slot and whose lease ends soon.
-- KEYS and ARGV to 6: see given.lua
-- ARGV[7]  how soon, in ms   ARGV[8]  how many at the most
-- Answers  `conversation:turn,…` and the earliest end of a lease (0 without one)

local soon = UNDER_WAY + now() + tonumber(ARGV[7])
local names, turns = redis.call('ZRANGE', PLACES, UNDER_WAY, soon, 'BYSCORE', 'LIMIT', 0, ARGV[8]), {}
if #names > 0 then
  for at, record in ipairs(redis.call('HMGET', ROOMS, unpack(names))) do
    local held = string.match(record or '', '^[^|]*|%d+|([^|]+)|')
    if held then turns[#turns + 1] = names[at] .. ':' .. held end
  end
end
return {table.concat(turns, ','), earliest_end() or 0}
