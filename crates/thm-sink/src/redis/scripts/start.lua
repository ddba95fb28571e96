-- An empty board under a new fence, if the fence is still the one the caller judged.
--
-- KEYS  1 board  2 fence  3 events  4 sums
-- ARGV  1 generation  2 configuration  3 expired_through  4 life of the fence, ms
--       5 generation and 6 configuration of the fence as the caller read it ('' for none)
-- Gives {1} or {0} (nothing changed).

local now = redis.call('HMGET', KEYS[2], 'generation', 'config')
if (now[1] or '') ~= ARGV[5] or (now[2] or '') ~= ARGV[6] then return {0} end
redis.call('UNLINK', KEYS[1], KEYS[2], KEYS[3], KEYS[4])
redis.call('HSET', KEYS[2], 'generation', ARGV[1], 'config', ARGV[2], 'expired_through', ARGV[3],
  'newest', ARGV[3], 'events', 0, 'members', 0)
redis.call('PEXPIRE', KEYS[2], ARGV[4])
return {1}
