#!lua flags=allow-oom
-- How far the invalidations have come that Redis was told of, and the era since which it missed none.
-- KEYS[1]  the record: hash of `epoch`, `era`, `cursor`
-- ARGV[1]  the epoch of Redis; what an older one says is void
-- ARGV[2]  the era to begin where there is none
-- ARGV[3]  how far the caller has come in the feed: the cursor of an era that begins
-- ARGV[4]  the record is void when nobody kept it up to date for so long, in ms
-- Answers  the era, its cursor
local record = redis.call('HMGET', KEYS[1], 'epoch', 'era', 'cursor')
local era, cursor = record[2], record[3]
if record[1] ~= ARGV[1] or not era or not cursor then
  era, cursor = ARGV[2], ARGV[3]
  redis.call('HSET', KEYS[1], 'epoch', ARGV[1], 'era', era, 'cursor', cursor)
end
if tonumber(cursor) >= tonumber(ARGV[3]) then
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
end
return {era, cursor}
