#!lua flags=no-writes
-- All of a user's usage rows, where it is known which are all.
-- KEYS[1]  the set of the user's characters with a copy
-- KEYS[2]  that the set is whole: hash of epoch and count
-- ARGV[1]  epoch
-- ARGV[2]  what the copies of this user begin with; they share the set's slot
-- Answers  for each character: text, audio, image, since, version, its id; nothing where one is not there
local whole = redis.call('HMGET', KEYS[2], 'epoch', 'count')
local characters = redis.call('SMEMBERS', KEYS[1])
if whole[1] ~= ARGV[1] or tonumber(whole[2]) ~= #characters then return false end
local rows = {}
for i, character in ipairs(characters) do
  local row = redis.call('HMGET', ARGV[2] .. character, 'text', 'audio', 'image', 'since', 'version', 'epoch')
  if row[6] ~= ARGV[1] then return false end
  row[6] = character
  rows[i] = row
end
return rows
