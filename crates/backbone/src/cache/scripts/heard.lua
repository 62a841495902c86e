#!lua flags=allow-oom
-- Redis was told of every invalidation up to a place in the feed.
-- KEYS[1]  the record, see told.lua
-- ARGV[1]  the era in which that is so
-- ARGV[2]  the cursor of the last change
-- ARGV[3]  the record is void when nobody kept it up to date for so long, in ms
-- Answers  1; 0 when another era has begun
if redis.call('HGET', KEYS[1], 'era') ~= ARGV[1] then
  return 0
end
if tonumber(redis.call('HGET', KEYS[1], 'cursor')) < tonumber(ARGV[2]) then
  redis.call('HSET', KEYS[1], 'cursor', ARGV[2])
end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
