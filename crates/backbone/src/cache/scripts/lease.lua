#!lua
-- Renews the lease of a load, or ends it, if it is still the one that was given.
-- KEYS[1]  the lease
-- ARGV[1]  its token
-- ARGV[2]  how long it lives from now, in ms; 0 ends it
-- Answers  1 when it is still that one
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
if ARGV[2] == '0' then
  redis.call('DEL', KEYS[1])
else
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return 1
