-- What every script on one character's line is given.
--
-- KEYS[1]  rooms: hash of conversation -> `told|pending|held|front|lane|seq`
--            told     the state that it was told last: `i` idle, `p` processing, `q<pending>.<position>` queued
--            pending  how many turns wait
--            held     the turn that holds a slot, if one does
--            front    the first of those that wait, if one does
--            lane     where in `turns` the others that wait are, and `seq`, the last number there; 0 where none are
--          A turn is `message:attempt:premium`, premium 0 or 1. Of the field `.` what there is of all:
--          `ready|premiums|under_way|behind|both|run|ticket|lasts`
--            ready, premiums  conversations that are ready, and those of premium among them
--            under_way, both  conversations with a reply under way, and those among them where more waits
--            behind           turns behind the front of their conversation: as many as `turns` has
--            run              premium ones served in a row while others waited
--            ticket           the last that was given
--            lasts            when keys end, or earlier
-- KEYS[2]  places: sorted set of the same conversations. Below UNDER_WAY are the ready ones by ticket, those of premium
--          below zero; from UNDER_WAY on are those with a reply under way, by the end of its lease
-- KEYS[3]  turns: sorted set of `message:attempt` by lane, then number, then premium. A lane is one conversation's, for as
--          long as more than one turn of it waits
-- KEYS[4]  leases: sorted set of all characters by the earliest end of a lease, or earlier; absent in a Cluster
-- ARGV[1]  the lease, in ms
-- ARGV[2]  how long keys last after a lease was given, in ms
-- ARGV[3]  replies at a time
-- ARGV[4]  premium ones served in a row while others wait; 0: premium is nothing special
-- ARGV[5]  how many are told of their position
-- ARGV[6]  the character

local ROOMS, PLACES, TURNS, LEASES = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local LEASE, KEEP, SLOTS = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local MOST, TOLD, CHARACTER = tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6]
local FIRST_PREMIUM, UNDER_WAY = -2 ^ 51, 2 ^ 51
-- What a lane takes in `turns`: two for each number. Tickets are lanes as well; both fit into a score.
local LANE, LAST_SEQ, LAST_TICKET = 2 ^ 21, 2 ^ 20 - 1, 2 ^ 31
