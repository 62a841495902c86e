#!lua flags=allow-oom
-- Which epoch Redis is in: it lasts as long as one process serves without a failover.
-- KEYS[1]  the epoch: hash of `of` (whose it is) and `epoch`
-- ARGV[1]  who serves now
-- ARGV[2]  the epoch to begin where somebody else served before
-- Answers  the epoch in force
if redis.call('HGET', KEYS[1], 'of') == ARGV[1] then
  return redis.call('HGET', KEYS[1], 'epoch')
end
redis.call('HSET', KEYS[1], 'of', ARGV[1], 'epoch', ARGV[2])
return ARGV[2]
