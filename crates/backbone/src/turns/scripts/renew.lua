-- Extends the lease of a granted turn.
-- ARGV[7]  the conversation   ARGV[8]  `message:attempt`
-- Answers  1, or 0 when the turn holds no slot

local held = string.match(redis.call('HGET', ROOMS, ARGV[7]) or '', '^[^|]*|%d+|([^|]*)|')
if not held or string.sub(held, 1, #ARGV[8] + 1) ~= ARGV[8] .. ':' then return 0 end
if not redis.call('ZSCORE', PLACES, ARGV[7]) then return 0 end
redis.call('ZADD', PLACES, UNDER_WAY + now() + LEASE, ARGV[7])
prolong(true)
index(earliest_end())
return 1
