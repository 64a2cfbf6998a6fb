-- The API budget of one connection, decided in one place for all workers (hub/store/limits.py calls this and nothing else).
-- Times are whole microseconds of this server's clock. Needs Redis 5 or newer: a script may read TIME and then write.
--
-- KEYS  1 log: sorted set, one member per call of the last window, scored by its time ("x…": calls of somebody else)
--       2 state: hash, see the names below      3 usage: hash of counters, "calls" and "calls:<day number>"
-- ARGV  name, value, name, value …; `now` is given by tests only
--
-- state: seq · next_at (pacing) · day_ends, day_used · blocked_until, blocked_daily (end of the last "daily" block)
--        factor, factor_at (when it began to climb) · wanted_LANE, until_LANE (refused, and until when awaited) · shortest (call)
--        learned_burst, learned_window, learned_daily · span (how long a call holds its slot)

local SECOND, HOUR, DAY = 1000000, 3600000000, 86400000000
local PATIENCE = 2 * SECOND -- how much later than told a refused urgent call may come back and still find its slot
local BURST, DAILY, VENDOR = 1, 2, 3 -- why a call is refused
local log, statekey, usage = KEYS[1], KEYS[2], KEYS[3]

local arg = {}
for i = 1, #ARGV, 2 do
  arg[ARGV[i]] = tonumber(ARGV[i + 1]) or ARGV[i + 1]
end
local now = arg.now
if not now then
  local time = redis.call('TIME')
  now = tonumber(time[1]) * SECOND + tonumber(time[2])
end

local state, changed = {}, {}
local flat = redis.call('HGETALL', statekey)
for i = 1, #flat, 2 do
  state[flat[i]] = tonumber(flat[i + 1])
end

local function put(name, value)
  state[name] = value
  changed[name] = true
end

local function save()
  for name in pairs(changed) do
    if state[name] == nil then
      redis.call('HDEL', statekey, name)
    else
      redis.call('HSET', statekey, name, state[name])
    end
  end
  redis.call('PEXPIRE', statekey, 2 * DAY / 1000)
end

local function count(name)
  local day = math.floor(now / DAY)
  redis.call('HINCRBY', usage, name, 1)
  if redis.call('HINCRBY', usage, name .. ':' .. day, 1) == 1 then
    for _, old in ipairs(redis.call('HKEYS', usage)) do -- once a day: forget days that nobody asks about any more
      local of = tonumber(string.match(old, ':(%d+)$'))
      if of and of < day - 40 then
        redis.call('HDEL', usage, old)
      end
    end
  end
end

-- A clock that was set back must not lock anybody out: times further ahead than they can be are not believed.
if (state.blocked_until or 0) > now + 2 * DAY then
  put('blocked_until', nil)
  put('blocked_daily', nil)
end
if (state.factor_at or 0) > now + 2 * DAY then
  put('factor_at', now)
end

local function limits()
  local burst, window = arg.burst, arg.window
  if state.learned_burst and burst > 0 then
    burst, window = state.learned_burst, state.learned_window
  end
  local factor, since = state.factor or 1, now - (state.factor_at or now)
  factor = math.min(1, factor + 0.05 * math.max(0, math.floor(since / window)))
  -- The factor stretches time instead of cutting the number of slots, which could be too small to cut.
  local span = math.ceil((window + math.max(15000, 0.005 * window)) / factor)
  return burst, window, factor, span
end

local function clean(span)
  redis.call('ZREMRANGEBYSCORE', log, '-inf', now - span)
  redis.call('ZREMRANGEBYSCORE', log, now + SECOND, '+inf')
  return redis.call('ZCARD', log)
end

local function today()
  if not state.day_ends or now >= state.day_ends or state.day_ends > now + DAY then
    put('day_ends', now - (now - arg.day_starts) % DAY + DAY)
    put('day_used', 0)
  end
  local limit = arg.daily
  if state.learned_daily and (limit == 0 or state.learned_daily < limit) then
    limit = state.learned_daily
  end
  return limit
end

local function refuse(why, wait)
  save()
  return { 0, math.max(1000, math.ceil(wait)), why }
end

-- How many were refused in a lane and are about to come back.
local function waiting_in(lane)
  local ends = state['until_' .. lane] or 0
  return ends > now and ends < now + HOUR and state['wanted_' .. lane] or 0
end

-- How long this lane has to wait for a slot in the log: those who wait in a higher lane are left as many, up to a share.
local function slot_wait(burst, span, used)
  local free, waiting = 0, now
  for lane, share in pairs({ urgent = 10, event = 20 }) do
    local wanted = waiting_in(lane)
    if wanted > 0 and (arg.lane == 'bulk' or arg.lane == 'event' and lane == 'urgent') then
      free = free + math.min(wanted, math.max(1, math.floor(burst / share)))
      waiting = math.max(waiting, state['until_' .. lane])
    end
  end
  if used < burst - free then
    return 0
  end
  local leaving = redis.call('ZRANGE', log, math.max(0, used - burst + free), math.max(0, used - burst + free), 'WITHSCORES')
  return math.max(1, leaving[2] and tonumber(leaving[2]) + span - now or waiting - now)
end

-- How long it has to wait for its turn: urgent calls have no turns, events come one turn earlier than bulk when they wait.
local function pace_wait(interval, next_at)
  if arg.lane == 'urgent' then
    return 0
  end
  local earliest = next_at - math.max(3 * interval, 0.25 * SECOND)
  if arg.lane == 'bulk' and waiting_in('event') > 0 then
    earliest = earliest + interval
  end
  return math.max(0, earliest - now)
end

local function take_slot()
  local burst, window, factor, span = limits()
  local used, interval = clean(span), window / burst / factor
  local next_at = state.next_at or now
  if next_at > now + 2 * span then
    next_at = now
  end
  local wait = math.max(slot_wait(burst, span, used), pace_wait(interval, next_at))
  if wait > 0 then
    put('wanted_' .. arg.lane, waiting_in(arg.lane) + 1)
    put('until_' .. arg.lane, now + math.min(wait, span) + PATIENCE)
    return wait
  end
  put('wanted_' .. arg.lane, math.max(0, waiting_in(arg.lane) - 1))
  put('next_at', math.min(math.max(now, next_at) + interval, now + span))
  put('seq', (state.seq or 0) + 1)
  put('span', span)
  redis.call('ZADD', log, now, string.format('%.0f', state.seq))
  redis.call('PEXPIRE', log, math.ceil(span / 1000) + 60000)
  return 0
end

local function take()
  if (state.blocked_until or 0) > now then
    local why = state.blocked_until == state.blocked_daily and DAILY or VENDOR
    return refuse(why, state.blocked_until - now)
  end
  local daily = today()
  if daily > 0 then
    local kept = arg.lane == 'urgent' and 0 or math.max(1, math.ceil(daily / 50))
    if state.day_used >= daily - kept then
      return refuse(DAILY, state.day_ends - now)
    end
  end
  if arg.burst > 0 then
    local wait = take_slot()
    if wait > 0 then
      return refuse(BURST, wait)
    end
  end
  put('day_used', state.day_used + 1)
  count('calls')
  save()
  return { 1, state.seq or 0, 0 }
end

-- The vendor counted the call somewhere between its start and its end. It cannot have been later than the end less the
-- shortest call known, so that is when its slot begins; a new connection's slow first call is the usual reason.
-- At most 3 % of the window are given for it: the rest is the vendor's own work, done after counting.
local function stamp(window)
  local shortest = math.min(arg.elapsed, (state.shortest or arg.elapsed) * 1.01 + 1)
  put('shortest', shortest)
  local taken = tonumber(redis.call('ZSCORE', log, arg.slot) or nil)
  if taken then
    local late = math.min(now - shortest, taken + math.max(15000, 0.03 * window))
    if late > taken then
      redis.call('ZADD', log, 'XX', math.floor(late), arg.slot)
    end
  end
end

local function block(window)
  count('throttled')
  local wait, ends = arg.block, state.blocked_until or 0
  if arg.throttled == 'daily' then
    if not wait then -- the vendor's day may begin at another hour than we think: after the first block look every hour
      wait = now - (state.blocked_daily or -DAY) < HOUR and HOUR or state.day_ends - now
    end
    put('blocked_daily', math.max(ends, now + wait))
  else
    wait = wait or window
    if now >= (state.factor_at or 0) then -- once a window, however many calls it hit
      local _, _, factor = limits()
      put('factor', math.max(0.1, factor * 0.9))
      put('factor_at', now + math.max(wait, window))
    end
  end
  put('blocked_until', math.max(ends, now + wait))
end

-- Others who share the account: their calls are spread over the window, each answer tops them up.
local function add_others(number, span)
  put('seq', (state.seq or 0) + 1)
  for k = 1, number do
    redis.call('ZADD', log, math.floor(now - span * (k - 0.5) / number), string.format('x%.0f:%d', state.seq, k))
  end
  redis.call('PEXPIRE', log, math.ceil(span / 1000) + 60000)
end

local function learn_burst()
  local theirs = arg.vendor_window or arg.window
  if arg.vendor_burst / theirs < arg.burst / arg.window then
    put('learned_burst', arg.vendor_burst)
    put('learned_window', theirs)
  elseif state.learned_burst then
    put('learned_burst', nil)
    put('learned_window', nil)
  end
  local burst, window, _, span = limits()
  if arg.vendor_left and theirs == window then
    local used = clean(span)
    local more = arg.vendor_burst - arg.vendor_left - used
    -- So many of ours may have left the log since the vendor counted.
    local doubt = 1 + math.ceil(burst * arg.elapsed / window)
    if more > doubt then
      add_others(math.min(more, burst), span)
    end
  end
end

local function learn_daily()
  if arg.vendor_daily and (arg.daily == 0 or arg.vendor_daily < arg.daily) then
    put('learned_daily', arg.vendor_daily)
  elseif arg.vendor_daily and state.learned_daily then
    put('learned_daily', nil)
  end
  local limit = today()
  -- An answer to a call of yesterday says nothing about today.
  if arg.vendor_daily_left and limit > 0 and now - arg.elapsed >= state.day_ends - DAY then
    local theirs = (arg.vendor_daily or limit) - arg.vendor_daily_left
    -- Much less than ours: their day began anew. A little less: calls that are still under way.
    if theirs > state.day_used or state.day_used - theirs > limit / 20 then
      put('day_used', math.max(0, theirs))
    end
  end
end

local function learn()
  today()
  local _, window = limits()
  if arg.slot and arg.throttled == 'no' then
    stamp(window)
  end
  if arg.throttled ~= 'no' then
    block(window)
  end
  if arg.vendor_burst and arg.burst > 0 then
    learn_burst()
  end
  if arg.vendor_daily or arg.vendor_daily_left then
    learn_daily()
  end
  save()
  return { 1, 0, 0 }
end

local function report()
  local suffix = arg.day and ':' .. arg.day or ''
  local counted = redis.call('HMGET', usage, 'calls' .. suffix, 'throttled' .. suffix)
  local used = state.span and redis.call('ZCOUNT', log, '(' .. string.format('%.0f', now - state.span), '+inf') or 0
  local day_used = (state.day_ends or 0) > now and state.day_used or 0
  local blocked = math.max(0, (state.blocked_until or 0) - now)
  return { tonumber(counted[1] or 0), tonumber(counted[2] or 0), used, day_used, blocked }
end

return ({ take = take, learn = learn, report = report })[arg.verb]()
