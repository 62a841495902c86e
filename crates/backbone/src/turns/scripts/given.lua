-- What every script on one character's line is given.
--
-- KEYS[1]  rooms: hash of conversation -> `told|pending|held|waiting`
--            told     the state that it was told last: `i` idle, `p` processing, `q<pending>.<position>` queued
--            pending  how many turns wait
--            held     the turn that holds a slot, if one does
--            waiting  the turns that wait, between commas: `,m1:1:0,m2:1:0,`
--          A turn is `message:attempt:premium`, premium 0 or 1. Of the field `.`: `run|ticket`, how many premium ones
--          were served in a row while others waited, and the next ticket.
-- KEYS[2]  places: sorted set of the same conversations. Below UNDER_WAY are the ready ones by ticket, those of premium
--          below zero; from UNDER_WAY on are those with a reply under way, by the end of its lease
-- KEYS[3]  leases: sorted set of all characters by the earliest end of a lease; absent in a Cluster
-- ARGV[1]  the lease, in ms
-- ARGV[2]  how long keys last after a lease was given, in ms
-- ARGV[3]  replies at a time
-- ARGV[4]  premium ones served in a row while others wait; 0: premium is nothing special
-- ARGV[5]  how many are told of their position
-- ARGV[6]  the character

local ROOMS, PLACES, LEASES = KEYS[1], KEYS[2], KEYS[3]
local LEASE, KEEP, SLOTS = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local MOST, TOLD, CHARACTER = tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6]
local FIRST_PREMIUM, UNDER_WAY = -2 ^ 51, 2 ^ 51
