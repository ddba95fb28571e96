-- One batch of changes, all or nothing, if the fence is the one the caller knows.
--
-- KEYS  1 board (ZSET)  2 fence (HASH)  3 events (HASH id -> "second,units,content")  4 sums (HASH content -> units)
--       5.. one list of ids per second that the batch mentions
-- ARGV  1 generation  2 configuration  3 field of the partition's offset  4 its expected value ('' for none)
--       5 its next value  6 units per point  7 life of the board, ms  8 life of the rest, ms
--       9 number of seconds  10 number of members
--       then the seconds, then (content, units) for each member, then (id, second, member) for each change:
--         second  "<index>"  this moment counts, from now on
--                 "k"        a known id keeps its moment, an unknown one is ignored
--                 "d"        delete
-- Gives {1, expired_through, newest, late} or {0} (nothing changed).

local board, fence, events, sums = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local now = redis.call('HMGET', fence, 'generation', 'config', ARGV[3], 'expired_through', 'newest', 'events', 'members')
if now[1] ~= ARGV[1] or now[2] ~= ARGV[2] or (now[3] or '') ~= ARGV[4]
    or redis.call('HLEN', events) ~= tonumber(now[6]) or redis.call('ZCARD', board) ~= tonumber(now[7]) then
  return {0}
end

-- More values than this on Lua's stack at once is an error.
local CHUNK = 2000
local function each(command, key, values)
  for from = 1, #values, CHUNK do
    redis.call(command, key, unpack(values, from, math.min(from + CHUNK - 1, #values)))
  end
end

local expired, newest = tonumber(now[4]), tonumber(now[5])
local at, seconds, contents, units, tails = 11, {}, {}, {}, {}
for i = 1, tonumber(ARGV[9]) do seconds[i] = ARGV[at]; at = at + 1 end
for i = 1, tonumber(ARGV[10]) do
  contents[i], units[i], tails[i] = ARGV[at], tonumber(ARGV[at + 1]), ',' .. ARGV[at + 1] .. ',' .. ARGV[at]
  at = at + 2
end

-- What is held of the ids of this batch.
local ids, held = {}, {}
for i = at, #ARGV, 3 do ids[#ids + 1] = ARGV[i] end
for from = 1, #ids, CHUNK do
  local to = math.min(from + CHUNK - 1, #ids)
  local values = redis.call('HMGET', events, unpack(ids, from, to))
  for i = from, to do held[ids[i]] = values[i - from + 1] end
end

-- The changes in order; `delta` is what they do to the sums.
local delta, touched, lists, late = {}, {}, {}, 0
local function add(content, amount)
  if amount ~= 0 then delta[content] = (delta[content] or 0) + amount end
end
for i = at, #ARGV, 3 do
  local id, when, member = ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2])
  local old = held[id]
  local old_second
  if old then
    local amount, content
    old_second, amount, content = string.match(old, '^(%d+),(%d+),(.*)$')
    add(content, -tonumber(amount))
  end
  local new = false
  if when ~= 'd' then
    local index = tonumber(when)
    local second = old_second
    if when ~= 'k' then second = seconds[index] end
    if second and tonumber(second) > expired then
      new = second .. tails[member]
      add(contents[member], units[member])
      if second ~= old_second then
        local list = lists[index] or {}
        lists[index] = list
        list[#list + 1] = id
        newest = math.max(newest, tonumber(second))
      end
    else
      late = late + 1
    end
  end
  held[id] = new
  touched[id] = true
end

local put, gone = {}, {}
for id in pairs(touched) do
  if held[id] then put[#put + 1] = id; put[#put + 1] = held[id] else gone[#gone + 1] = id end
end
if #put > 0 then each('HSET', events, put) end
if #gone > 0 then each('HDEL', events, gone) end
for index, list in pairs(lists) do
  each('RPUSH', KEYS[4 + index], list)
  redis.call('PEXPIRE', KEYS[4 + index], ARGV[8])
end
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

redis.call('HSET', fence, ARGV[3], ARGV[5], 'newest', newest,
  'events', redis.call('HLEN', events), 'members', redis.call('ZCARD', board))
redis.call('PEXPIRE', board, ARGV[7])
redis.call('PEXPIRE', events, ARGV[8])
redis.call('PEXPIRE', sums, ARGV[8])
redis.call('PEXPIRE', fence, ARGV[8])
return {1, expired, newest, late}
