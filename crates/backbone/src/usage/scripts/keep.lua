#!lua
-- Keeps copies of a user's usage rows, each unless a newer one is kept; with all of them it is known which are all.
-- KEYS[1]  the set of the user's characters with a copy
-- KEYS[2]  that the set is whole: hash of epoch and count (of its members)
-- KEYS[3…] the copies: hash of text, audio, image, since (milliseconds, empty before the first use), version, epoch
-- ARGV[1]  epoch
-- ARGV[2]  milliseconds that the set lives, [3] that it is known to be whole
-- ARGV[4]  what the copies of this user begin with, where these are all there are, else empty
-- ARGV[5…] for each copy: the character, milliseconds that it lives, text, audio, image, since, version
-- Answers  how many were kept
local epoch, life, prefix = ARGV[1], ARGV[2], ARGV[4]
local kept, added = 0, 0
for i = 3, #KEYS do
  local from = 5 + (i - 3) * 7
  local there = redis.call('HMGET', KEYS[i], 'version', 'epoch')
  if not (there[1] and there[2] == epoch and tonumber(there[1]) > tonumber(ARGV[from + 6])) then
    redis.call('HSET', KEYS[i], 'text', ARGV[from + 2], 'audio', ARGV[from + 3], 'image', ARGV[from + 4],
      'since', ARGV[from + 5], 'version', ARGV[from + 6], 'epoch', epoch)
    redis.call('PEXPIRE', KEYS[i], ARGV[from + 1])
    kept = kept + 1
  end
  added = added + redis.call('SADD', KEYS[1], ARGV[from])
end
if #KEYS > 2 then redis.call('PEXPIRE', KEYS[1], life) end
if prefix == '' then
  if added > 0 and redis.call('EXISTS', KEYS[2]) == 1 then redis.call('HINCRBY', KEYS[2], 'count', added) end
  return kept
end
-- What is in the set beyond these is of somebody who kept it a moment ago, or is over.
for _, character in ipairs(redis.call('SMEMBERS', KEYS[1])) do
  if redis.call('HGET', prefix .. character, 'epoch') ~= epoch then redis.call('SREM', KEYS[1], character) end
end
redis.call('HSET', KEYS[2], 'epoch', epoch, 'count', redis.call('SCARD', KEYS[1]))
redis.call('PEXPIRE', KEYS[2], ARGV[3])
return kept
