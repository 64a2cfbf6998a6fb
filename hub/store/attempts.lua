-- Guesses of a password or code, counted per account (KEYS[1]) and per network address (KEYS[2]) before they are looked at,
-- so that a thousand at once get no more in than a thousand one after the other.
-- ARGV: verb, now (ms), then free tries, first lock (ms), longest lock (ms), memory (ms) of each key.
-- take: {ms to wait, 1 if this try locks the account, 1 if it locks the address, tries refused while locked}
-- give_back: the try was right but more is to come, it does not count. clear: signed in, the account begins anew.
local verb, now = ARGV[1], tonumber(ARGV[2])

local function limits(index)
  local first = 3 + (index - 1) * 4
  return tonumber(ARGV[first]), tonumber(ARGV[first + 1]), tonumber(ARGV[first + 2]), tonumber(ARGV[first + 3])
end

local function lock_time(index, count)
  local free, first, longest = limits(index)
  if count < free then return 0 end
  return math.min(longest, first * 2 ^ math.min(count - free, 30))
end

if verb == 'clear' then
  redis.call('DEL', KEYS[1])
  return {0, 0, 0, 0}
end

if verb == 'give_back' then
  for index, key in ipairs(KEYS) do
    local count = tonumber(redis.call('HGET', key, 'count') or '0')
    if count > 0 then
      redis.call('HINCRBY', key, 'count', -1)
      if lock_time(index, count) > 0 then redis.call('HSET', key, 'until', lock_time(index, count - 1) > 0 and now or 0) end
    end
  end
  return {0, 0, 0, 0}
end

local wait = 0
for index, key in ipairs(KEYS) do
  wait = math.max(wait, tonumber(redis.call('HGET', key, 'until') or '0') - now)
end
if wait > 0 then
  local refused = redis.call('HINCRBY', KEYS[1], 'refused', 1)
  local _, _, _, memory = limits(1)
  redis.call('PEXPIRE', KEYS[1], memory)
  return {math.ceil(wait), 0, 0, refused}
end

local locks = {0, 0}
for index, key in ipairs(KEYS) do
  local _, _, _, memory = limits(index)
  local last = tonumber(redis.call('HGET', key, 'last') or '0')
  if now - last > memory then redis.call('DEL', key) end
  local count = redis.call('HINCRBY', key, 'count', 1)
  local locked = lock_time(index, count)
  redis.call('HSET', key, 'last', now, 'refused', 0)
  if locked > 0 then
    redis.call('HSET', key, 'until', now + locked)
    locks[index] = 1
  end
  redis.call('PEXPIRE', key, memory)
end
return {0, locks[1], locks[2], 0}
