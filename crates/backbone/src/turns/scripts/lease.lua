-- What goes with a lease: Redis's clock, how long keys last, and the index of leases.

local time
local function now()
  if not time then
    local parts = redis.call('TIME')
    time = parts[1] * 1000 + math.floor(parts[2] / 1000)
  end
  return time
end

-- Keys outlive the leases in them, so that who lost a slot is noticed, and not for long: then nobody is left to notice.
-- What merely waits prolongs nothing, so that a slot that the index forgot cannot hold up a line for ever.
local function prolong(has_turns)
  redis.call('PEXPIREAT', ROOMS, now() + KEEP)
  redis.call('PEXPIREAT', PLACES, now() + KEEP)
  if has_turns then redis.call('PEXPIREAT', TURNS, now() + KEEP) end
end

-- The earliest end of a lease of this character; nothing without one.
local function earliest_end()
  local first = redis.call('ZRANGE', PLACES, UNDER_WAY, '+inf', 'BYSCORE', 'LIMIT', 0, 1, 'WITHSCORES')
  return first[2] and first[2] - UNDER_WAY
end

-- Writes the earliest end of a lease of this character into the index; none without one. That it cannot be written
-- undoes nothing of what was done before.
local function index(ends)
  if not LEASES then return end
  if not ends then
    redis.pcall('ZREM', LEASES, CHARACTER)
  else
    redis.pcall('ZADD', LEASES, ends, CHARACTER)
    redis.pcall('PEXPIREAT', LEASES, now() + KEEP)
  end
end

-- Sees to it that the index finds a lease given now. Where it names an earlier time it is left as it is: a visit then, or
-- the next renewal, writes the right one.
local function cover()
  if LEASES and redis.pcall('ZADD', LEASES, 'LT', now() + LEASE, CHARACTER) == 1 then
    redis.pcall('PEXPIREAT', LEASES, now() + KEEP)
  end
end
