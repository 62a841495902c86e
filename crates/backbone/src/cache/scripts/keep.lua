#!lua
-- Keeps a value, unless its load was overtaken or a newer version is kept.
-- KEYS[1]  the value
-- KEYS[2]  the lease of its load
-- ARGV[1]  the token of the load's lease; empty for a write, which ends the lease of whoever loads
-- ARGV[2]  the value, sealed
-- ARGV[3]  its ms to live
-- ARGV[4]  its schema
-- ARGV[5]  its version; 0 for one that cannot be told apart
-- ARGV[6]  its era
-- Answers  1 when it is kept
if ARGV[1] ~= '' and redis.call('GET', KEYS[2]) ~= ARGV[1] then
  return 0
end
redis.call('DEL', KEYS[2])
local version = tonumber(ARGV[5])
if version > 0 then
  local head = redis.pcall('GETRANGE', KEYS[1], 0, 127)
  if type(head) == 'string' then
    local schema, kept, era = string.match(head, '^aim1 (%d+) (%-?%d+) (%d+) ')
    if schema == ARGV[4] and era == ARGV[6] and tonumber(kept) > version then
      return 0
    end
  end
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
