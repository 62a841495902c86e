-- Puts a turn at the end of its conversation's line and grants what is free; comes after enter_idle.lua.
-- ARGV[7]  the conversation   ARGV[8]  `message:attempt`   ARGV[9]  premium, 0 or 1
-- Answers  granted, `conversation:turn,…`, and states, `conversation:state,…`

local of, identity = room(ARGV[7]), ARGV[8]
if string.sub(of.held, 1, #identity + 1) == identity .. ':' or string.find(of.waiting, ',' .. identity .. ':', 1, true) then
  return {'', of.name .. ':' .. state_of(of)}
end
of.waiting, of.pending = of.waiting .. identity .. ':' .. ARGV[9] .. ',', of.pending + 1
change(of)
local was, joined = nil, false
if of.held == '' and not of.is_ready then
  if ready == 0 and under_way < SLOTS then
    if run ~= 0 then run, is_line_changed = 0, true end
    hold(of)
  else
    if premium_ready() > 0 or is_front_premium(of) then was = order() end
    join(of)
    serve()
    joined = of.is_ready
  end
end
of.told, of.is_told = state_of(of), true
states[1] = of.name .. ':' .. of.told
-- Who was granted at once, or waits for its own reply, moves nobody; nor does the last of a line without premium.
if joined then
  if was then tell_waiting(was) end
  tell_under_way()
end
save()
return {moved()}
