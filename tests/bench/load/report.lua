-- For wrk: with a number of bytes as its argument it uploads so many; its result is one JSON object.
function init(args)
   if args[1] then
      wrk.method = "POST"
      wrk.body = string.rep("x", tonumber(args[1]))
   end
   local request = wrk.format()
   wrk.request = function() return request end
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
