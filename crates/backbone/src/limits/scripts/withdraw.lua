#!lua
-- Takes back what `admit` counted, where something outside its call refused. What is not found among the newest 50
-- pairs of a window stays counted.
-- KEYS  first the windows, one an admission; then the names that were counted with them
-- ARGV  for each window the time of the admission, as `admit` answered it
local call, pack, read = redis.call, struct.pack, struct.unpack

for i = 1, #ARGV do
  local key, time = KEYS[i], tonumber(ARGV[i])
  local text = call('GETRANGE', key, '-544', '-1')
  if #text > 44 then
    local counted, head, size = read('<I6I4I4', text, #text - 13)
    -- Where in the log the text begins.
    local start = size + 44 - #text
    for from = #text - 53, 1, -10 do
      local at, count = read('<I6I4', text, from)
      if at < time or start + from - 1 < head then break end
      if at == time and count > 0 then
        call('SETRANGE', key, start + from - 1, pack('<I6I4', at, count - 1))
        call('SETRANGE', key, size + 30, pack('<I6', counted - 1))
        break
      end
    end
  end
end
if #KEYS > #ARGV then call('DEL', unpack(KEYS, #ARGV + 1)) end
return 1
