-- ARGV[7]  the conversation
-- Answers  its state, as it is told; idle where the keys do not add up

local is_whole, state = pcall(function() return state_of(open(RECORDS)) end)
return is_whole and state or 'i'
