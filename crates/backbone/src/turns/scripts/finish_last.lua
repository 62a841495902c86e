-- The short way of finish where nothing else of the character is under way or waits: it is idle now.

if string.find(RECORDS[1] or '', '0|0|1|0|0|', 1, true) == 1
  and string.find(RECORDS[2] or '', '|0|' .. ARGV[8] .. ':', 1, true) then
  redis.call('DEL', ROOMS, PLACES, TURNS)
  index(nil)
  return {'', ARGV[7] .. ':i'}
end

