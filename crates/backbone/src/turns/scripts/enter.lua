-- Puts a turn at the end of its conversation's line and grants what is free; comes after enter_idle.lua.
-- ARGV[7]  the conversation   ARGV[8]  `message:attempt`   ARGV[9]  premium, 0 or 1
-- Answers  granted, `conversation:turn,…`, and states, `conversation:state,…`

local function enter()
  local of = open(RECORDS)
  check()
  if not append(of, ARGV[8], tonumber(ARGV[9])) then return {'', of.name .. ':' .. state_of(of)} end
  local was, now_at, joined = nil, nil, false
  if of.held == '' and not of.is_ready then
    was, now_at = shift({of}, {})
    joined = of.is_ready
  end
  of.told, of.is_told = state_of(of), true
  states[1] = of.name .. ':' .. of.told
  -- Who was granted at once, or waits for its own reply, moves nobody; nor does the last of a line without premium.
  if was then tell_waiting(was, now_at) end
  if was or joined then tell_under_way() end
  save()
  return moved()
end

return attempt(enter, begin)
