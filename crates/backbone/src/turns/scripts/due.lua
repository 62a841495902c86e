-- Characters with a lease that is over, for one server to look at: others find them again after a while, in case that
-- this one does not come to it.
-- KEYS[1]  leases: see given.lua
-- ARGV[1]  that while, in ms   ARGV[2]  how many at the most   ARGV[3]  how long the key lasts, in ms
-- Answers  how many characters have a lease, when the named will be found again, and their names

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local due = redis.call('ZRANGE', KEYS[1], '-inf', now, 'BYSCORE', 'LIMIT', 0, ARGV[2])
local again = now + tonumber(ARGV[1])
for _, name in ipairs(due) do redis.call('ZADD', KEYS[1], again, name) end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return {redis.call('ZCARD', KEYS[1]), again, due}
