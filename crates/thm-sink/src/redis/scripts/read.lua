-- The fence, and how much there is of what it speaks of, at one moment.
--
-- KEYS  1 board  2 fence  3 events  4 sums
-- Gives {fields of the fence, number of events, members of the board}.

return {redis.call('HGETALL', KEYS[2]), redis.call('HLEN', KEYS[3]), redis.call('ZCARD', KEYS[1])}
