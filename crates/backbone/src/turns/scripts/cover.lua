-- In a Cluster: sees to it that a character about to get a lease is in the index. One that is there is looked at no
-- later than it would be, and whoever looks at it now does not drop it.
-- KEYS[1]  leases: see given.lua
-- ARGV[1]  the lease, in ms   ARGV[2]  how long the key lasts, in ms   ARGV[3]  the character

local at = redis.call('ZSCORE', KEYS[1], ARGV[3])
if at then
  redis.call('ZADD', KEYS[1], at - 1, ARGV[3])
else
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  redis.call('ZADD', KEYS[1], now + tonumber(ARGV[1]), ARGV[3])
  redis.call('PEXPIREAT', KEYS[1], now + tonumber(ARGV[2]))
end
