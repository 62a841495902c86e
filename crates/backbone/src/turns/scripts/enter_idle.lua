-- The short way of enter where the character is idle, as it most often is: the turn is granted at once.

if redis.call('EXISTS', ROOMS, PLACES) == 0 then
  local turn = ARGV[8] .. ':' .. ARGV[9]
  redis.call('HSET', ROOMS, '.', '0|0', ARGV[7], 'p|0|' .. turn .. '|,')
  redis.call('ZADD', PLACES, UNDER_WAY + now + LEASE, ARGV[7])
  prolong()
  index(now + LEASE)
  return {ARGV[7] .. ':' .. turn, ARGV[7] .. ':p'}
end

