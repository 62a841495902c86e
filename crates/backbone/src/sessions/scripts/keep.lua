#!lua
-- Keeps a session, unless it was dropped a moment ago or a later reading of it is kept.
-- KEYS[1]  the session: "-" for a while after it was dropped, else EPOCH POSITION JSON
-- ARGV[1]  what to keep, in that form
-- ARGV[2]  its epoch
-- ARGV[3]  its position in the change feed
-- ARGV[4]  milliseconds that it lives
-- Answers  1 when it was kept, 0 when not
local there = redis.call('GET', KEYS[1])
if there == '-' then
  return 0
end
if there then
  local epoch, position = string.match(there, '^(%d+) (%d+) ')
  if epoch == ARGV[2] and tonumber(position) > tonumber(ARGV[3]) then
    return 0
  end
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[4])
return 1
