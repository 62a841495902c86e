#!lua
-- One look at a value, and the lease of its load where there is none, or where it ends soon.
-- KEYS[1]  the value
-- KEYS[2]  the lease of its load
-- ARGV[1]  the schema of a value that counts
-- ARGV[2]  the era of a value that counts
-- ARGV[3]  the token of a lease that is given now
-- ARGV[4]  how long that lease is, in ms
-- ARGV[5]  a value that lives no longer than this, in ms, is to be loaded anew
-- Answers  the value or false, its ms to live, 1 when the lease was given, the ms to live of somebody else's
local value = redis.pcall('GET', KEYS[1])
local left = 0
if type(value) == 'string' then
  local schema, era = string.match(value, '^aim1 (%d+) %-?%d+ (%d+) ')
  if schema == ARGV[1] and era == ARGV[2] then
    left = redis.call('PTTL', KEYS[1])
    if left > tonumber(ARGV[5]) then
      return {value, left, 0, 0}
    end
  else
    value = false
  end
else
  value = false
end
if redis.call('SET', KEYS[2], ARGV[3], 'NX', 'PX', ARGV[4]) then
  return {value, left, 1, 0}
end
return {value, left, 0, redis.call('PTTL', KEYS[2])}
