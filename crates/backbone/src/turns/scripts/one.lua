-- What there is of all, and of the conversation.

local RECORDS = redis.call('HMGET', ROOMS, '.', ARGV[7])
