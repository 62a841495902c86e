-- The short way of finish where nothing else of the character is under way or waits: it is idle now.

if redis.call('HLEN', ROOMS) == 2 and redis.call('ZCARD', PLACES) == 1 then
  local held, waiting = string.match(redis.call('HGET', ROOMS, ARGV[7]) or '', '^[^|]*|%d+|([^|]*)|(,.*)$')
  if waiting == ',' and string.sub(held, 1, #ARGV[8] + 1) == ARGV[8] .. ':' then
    redis.call('DEL', ROOMS, PLACES)
    index(nil)
    return {'', ARGV[7] .. ':i'}
  end
end

