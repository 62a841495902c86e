#!lua flags=allow-oom
-- Forgets a reply under way, unless another one is kept by now.
-- KEYS[1]  what is kept of the reply under way: a list that begins with whose it is
-- ARGV[1]  the reply's id and a line feed
-- Answers  1 when it was forgotten
local head = redis.call('LINDEX', KEYS[1], 0)
if head and string.sub(head, 1, #ARGV[1]) == ARGV[1] then
  return redis.call('DEL', KEYS[1])
end
return 0
