-- A script for wrk. Arguments: the number of bytes to upload (0: none), and further paths, which are
-- requested in turn with the path of the URL. It prints one JSON object.

function init(args)
   local bytes = tonumber(args[1])
   if bytes > 0 then
      wrk.method = "POST"
      wrk.body = string.rep("x", bytes)
   end
   local requests = { wrk.format() }
   for number = 2, #args do
      requests[number] = wrk.format(nil, args[number])
   end
   local last = 0
   wrk.request = function()
      last = last % #requests + 1
      return requests[last]
   end
end

function done(summary, latency)
   local failed = summary.errors
   print(string.format(
      '{"requests": %d, "seconds": %f, "errors": %d, "p50_ms": %f, "p99_ms": %f}',
      summary.requests,
      summary.duration / 1e6,
      failed.connect + failed.read + failed.write + failed.status + failed.timeout,
      latency:percentile(50) / 1e3,
      latency:percentile(99) / 1e3
   ))
end
