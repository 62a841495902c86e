-- What was found at characters that the index named. One whose time was changed meanwhile is left as it is.
-- KEYS[1]  leases: see given.lua
-- ARGV     by threes: a character, its time in the index, and the earliest end of a lease (0 without one)

for at = 1, #ARGV, 3 do
  local name, seen, ends = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  if redis.call('ZSCORE', KEYS[1], name) == seen then
    if ends == '0' then
      redis.call('ZREM', KEYS[1], name)
    else
      redis.call('ZADD', KEYS[1], ends, name)
    end
  end
end
