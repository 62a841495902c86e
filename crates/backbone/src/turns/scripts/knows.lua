-- Whether a turn waits or holds a slot.
-- ARGV[7]  the conversation   ARGV[8]  `message:attempt`
-- Answers  1 or 0

local record = redis.call('HGET', ROOMS, ARGV[7]) or ''
local held, front, lane = string.match(record, '^[^|]*|%d+|([^|]*)|([^|]*)|(%d+)|%d+$')
if not held then return 0 end
local it = ARGV[8] .. ':'
if string.sub(held, 1, #it) == it or string.sub(front, 1, #it) == it then return 1 end
local at = lane ~= '0' and redis.call('ZSCORE', TURNS, ARGV[8])
return at and math.floor(at / LANE) == tonumber(lane) and 1 or 0
