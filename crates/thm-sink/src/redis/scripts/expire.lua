-- Takes whole seconds out of the window, if the fence is the one the caller knows.
--
-- KEYS  1 board  2 fence  3 events  4 sums  5.. the lists of the seconds after `expired_through`, without gaps
-- ARGV  1 generation  2 configuration  3 expected expired_through  4 expected newest  5 expired_through once all
--       lists are done  6 units per point  7 life of the board, ms  8 life of the rest, ms
--       9 stop after this many ids, 0 if the lists are all there are: then everything goes at once
-- Gives {1, expired_through, ids} or {0} (nothing changed).

local board, fence, events, sums = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local now = redis.call('HMGET', fence, 'generation', 'config', 'expired_through', 'newest', 'events', 'members')
if now[1] ~= ARGV[1] or now[2] ~= ARGV[2] or now[3] ~= ARGV[3] or now[4] ~= ARGV[4]
    or redis.call('HLEN', events) ~= tonumber(now[5]) or redis.call('ZCARD', board) ~= tonumber(now[6]) then
  return {0}
end

-- After a long pause the window is empty, however much there was in it.
if ARGV[9] == '0' then
  local all = redis.call('HLEN', events)
  redis.call('UNLINK', board, events, sums)
  if #KEYS > 4 then redis.call('UNLINK', unpack(KEYS, 5)) end
  redis.call('HSET', fence, 'expired_through', ARGV[5], 'events', 0, 'members', 0)
  redis.call('PEXPIRE', fence, ARGV[8])
  return {1, tonumber(ARGV[5]), all}
end

local CHUNK = 2000
local expired, budget, taken = tonumber(ARGV[3]), tonumber(ARGV[9]), 0
local delta = {}
local function expire(list, second)
  local seen = {}
  for from = 0, redis.call('LLEN', list) - 1, CHUNK do
    local ids = redis.call('LRANGE', list, from, from + CHUNK - 1)
    local values = redis.call('HMGET', events, unpack(ids))
    local gone = {}
    for i, id in ipairs(ids) do
      -- An id may have been deleted, moved to another second, or stand here twice.
      if values[i] and not seen[id] then
        local when, amount, content = string.match(values[i], '^(%d+),(%d+),(.*)$')
        if tonumber(when) == second then
          seen[id] = true
          gone[#gone + 1] = id
          delta[content] = (delta[content] or 0) - tonumber(amount)
        end
      end
    end
    if #gone > 0 then redis.call('HDEL', events, unpack(gone)) end
    taken = taken + #ids
  end
  redis.call('DEL', list)
end

local last = tonumber(ARGV[3]) + #KEYS - 4
while expired < last and taken < budget do
  expired = expired + 1
  expire(KEYS[4 + expired - tonumber(ARGV[3])], expired)
end
if expired == last then expired = math.max(last, tonumber(ARGV[5])) end

local scale = tonumber(ARGV[6])
for content, amount in pairs(delta) do
  if amount ~= 0 then
    local sum = redis.call('HINCRBY', sums, content, amount)
    if sum == 0 then
      redis.call('HDEL', sums, content)
      redis.call('ZREM', board, content)
    else
      redis.call('ZADD', board, sum / scale, content)
    end
  end
end

redis.call('HSET', fence, 'expired_through', expired,
  'events', redis.call('HLEN', events), 'members', redis.call('ZCARD', board))
redis.call('PEXPIRE', board, ARGV[7])
redis.call('PEXPIRE', events, ARGV[8])
redis.call('PEXPIRE', sums, ARGV[8])
redis.call('PEXPIRE', fence, ARGV[8])
return {1, expired, taken}
