-- For wrk, with two numbers: how many bytes to upload (0: none), and how many requests to send a second
-- (0: as many as are answered). The result is one JSON object.

local ffi = require("ffi")
ffi.cdef "typedef struct { long s, ns; } moment; int clock_gettime(int clock, moment *now);"

-- Milliseconds of a clock that only goes forward.
local function now()
   local moment = ffi.new("moment")
   ffi.C.clock_gettime(1, moment)
   return tonumber(moment.s) * 1e3 + tonumber(moment.ns) / 1e6
end

-- Have requests leave independently of each other, as those of many clients do: after pauses that are
-- exponentially distributed. Clients that tick together would all queue for the first to be answered.
local function keep_to(rate)
   math.randomseed(now())
   local due = now()
   function delay()
      due = due - math.log(1 - math.random()) * 1e3 / rate
      return math.max(0, due - now())
   end
end

function init(args)
   local bytes, rate = tonumber(args[1]), tonumber(args[2])
   if bytes > 0 then
      wrk.method = "POST"
      wrk.body = string.rep("x", bytes)
   end
   local request = wrk.format()
   wrk.request = function() return request end
   if rate > 0 then keep_to(rate) end
end

function done(summary, latency)
   local failed = summary.errors
   print(string.format(
      '{"requests": %d, "seconds": %f, "errors": %d, "p50_ms": %f, "p99_ms": %f, "p999_ms": %f}',
      summary.requests,
      summary.duration / 1e6,
      failed.connect + failed.read + failed.write + failed.status + failed.timeout,
      latency:percentile(50) / 1e3,
      latency:percentile(99) / 1e3,
      latency:percentile(99.9) / 1e3
   ))
end
