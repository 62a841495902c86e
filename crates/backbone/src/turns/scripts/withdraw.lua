-- Takes messages out of their conversation's line; a granted one keeps its slot.
-- ARGV[7]  the conversation   ARGV[8] and on  the messages
-- Answers  granted and states, as enter does

local of, left = room(ARGV[7]), false
for at = 8, #ARGV do
  while take(of, ARGV[at]) do left = true end
end
if not left then return {'', ''} end
settle({of})
save()
return {moved()}
