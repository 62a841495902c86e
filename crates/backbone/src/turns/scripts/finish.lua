-- Gives a slot back and grants the next; comes after finish_last.lua. A turn that holds none leaves the line it stands in.
-- ARGV[7]  the conversation   ARGV[8]  `message:attempt`
-- Answers  granted and states, as enter does; nothing for a turn that is unknown

local of, identity = room(ARGV[7]), ARGV[8]
if string.sub(of.held, 1, #identity + 1) == identity .. ':' then
  release(of)
elseif not take(of, identity) then
  return {'', ''}
end
settle({of})
save()
return {moved()}
