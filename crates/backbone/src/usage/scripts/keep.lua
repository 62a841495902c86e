#!lua
-- Keeps a copy of a usage row, unless a newer one is kept.
-- KEYS[1]  the copy: hash of text, audio, image, since (milliseconds, empty before the first use), version, epoch
-- KEYS[2]  the set of the user's characters with usage
-- ARGV[1]  the character
-- ARGV[2]  milliseconds that the copy lives, [3] that the set does
-- ARGV[4]  text, [5] audio, [6] image, [7] since, [8] version, [9] epoch
-- Answers  1 when it was kept, 0 when not
local there = redis.call('HMGET', KEYS[1], 'version', 'epoch')
if there[1] and there[2] == ARGV[9] and tonumber(there[1]) > tonumber(ARGV[8]) then
  return 0
end
redis.call('HSET', KEYS[1], 'text', ARGV[4], 'audio', ARGV[5], 'image', ARGV[6],
  'since', ARGV[7], 'version', ARGV[8], 'epoch', ARGV[9])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
redis.call('SADD', KEYS[2], ARGV[1])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
return 1
