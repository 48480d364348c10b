-- Prints wrk's own summary as one line of JSON, so that nobody parses its table.
-- There is no hook per answer here on purpose: one would cost the load core more than the answer.
done = function(summary, latency)
  local e = summary.errors
  io.write(string.format(
    'BENCH {"answers": %d, "bytes": %d, "seconds": %.6f, "p50_us": %d, "p99_us": %d, ' ..
    '"connect": %d, "read": %d, "write": %d, "status": %d, "timeout": %d}\n',
    summary.requests, summary.bytes, summary.duration / 1e6,
    latency:percentile(50), latency:percentile(99),
    e.connect, e.read, e.write, e.status, e.timeout))
end
