-- What wrk asks and what it tells: the tokens in turn, and one line of JSON at the end.
--
-- Rule: nothing is done for a request that could be done before; statuses are counted only where
-- COUNT_STATUSES asks for it, because that costs the load tool.

local requests, next_one = {}, 0
local threads = {}
statuses = {}

function setup(thread)
  table.insert(threads, thread)
end

function init()
  -- Not as arguments: a token may begin as an option does.
  for token in (os.getenv("TOKENS") or ""):gmatch("%S+") do
    table.insert(requests, wrk.format("GET", nil, { Authorization = "Bearer " .. token }))
  end
  if #requests == 0 then
    table.insert(requests, wrk.format("GET"))
  end
end

function request()
  next_one = next_one % #requests + 1
  return requests[next_one]
end

if os.getenv("COUNT_STATUSES") then
  function response(status)
    statuses[status] = (statuses[status] or 0) + 1
  end
end

function done(summary, latency)
  local counted = {}
  for _, thread in ipairs(threads) do
    for status, count in pairs(thread:get("statuses") or {}) do
      table.insert(counted, string.format('"%s":%d', status, count))
    end
  end
  local errors = summary.errors
  local lost = errors.connect + errors.read + errors.write + errors.timeout
  local line = '{"requests":%d,"us":%d,"p50":%d,"p99":%d,"worst":%d,"bad":%d,"lost":%d,"statuses":{%s}}'
  local p50, p99 = latency:percentile(50), latency:percentile(99)
  local bad, list = errors.status, table.concat(counted, ",")
  local n, us = summary.requests, summary.duration
  io.write(string.format(line, n, us, p50, p99, latency.max, bad, lost, list), "\n")
end
