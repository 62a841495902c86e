-- Characters with a lease that ends soon, the most urgent first.
-- KEYS[1]  leases: see given.lua
-- ARGV[1]  how soon, in ms   ARGV[2]  how many at the most
-- Answers  names and times, as the index has them, by turns

local time = redis.call('TIME')
local soon = time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[1])
return redis.call('ZRANGE', KEYS[1], '-inf', soon, 'BYSCORE', 'LIMIT', 0, ARGV[2], 'WITHSCORES')
