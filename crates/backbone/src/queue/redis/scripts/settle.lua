--[[
  Makes a finished job forget what it was about; one that is gone stays gone.
  KEYS: the job's hash. ARGV: its data from now on; its return value from now on, or nothing to leave that.
  Answers 1, or 0 where there is no such job.
]]
if redis.call('EXISTS', KEYS[1]) == 0 then
  return 0
end
redis.call('HSET', KEYS[1], 'data', ARGV[1], 'progress', '0')
if ARGV[2] ~= '' and redis.call('HEXISTS', KEYS[1], 'returnvalue') == 1 then
  redis.call('HSET', KEYS[1], 'returnvalue', ARGV[2])
end
return 1
