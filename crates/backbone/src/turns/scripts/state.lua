-- ARGV[7]  the conversation
-- Answers  its state, as it is told

return state_of(room(ARGV[7]))
