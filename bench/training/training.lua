-- How wrk asks while the build is trained: one mode per run, and a line of JSON at its end.
local made, at = {}, 0

local function browser(host)
  return {
    ["Host"] = host,
    ["User-Agent"] = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    ["Accept"] = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    ["Accept-Language"] = "en-US,en;q=0.5",
    ["Accept-Encoding"] = "gzip, deflate, br",
    ["Cookie"] = "session=0123456789abcdef0123456789abcdef; theme=dark; consent=yes",
    ["Referer"] = "http://" .. host .. "/manual/start",
    ["Cache-Control"] = "max-age=0",
  }
end

local modes = {
  get = function() return { wrk.format("GET", "/", { ["Accept-Encoding"] = "gzip" }) } end,
  close = function() return { wrk.format("GET", "/64", { ["Connection"] = "close" }) } end,
  fields = function() return { wrk.format("GET", "/64?q=1&r=two", browser("www.bench.test")) } end,
  routed = function()
    return {
      wrk.format("GET", "/manual/page", { ["Host"] = "docs.bench.test" }),
      wrk.format("GET", "/v2/users/1234"),
      wrk.format("GET", "/x", { ["X-Preview"] = "on" }),
      wrk.format("GET", "/old"),
      wrk.format("GET", "/empty"),
    }
  end,
  pipelined = function()
    local one = wrk.format("GET", "/x")
    return { one .. one .. one .. one }
  end,
  post = function() return { wrk.format("POST", "/taken", nil, string.rep("a", 3000)) } end,
  chunks = function()
    local head = "POST /taken HTTP/1.1\r\nHost: bench.test\r\nTransfer-Encoding: chunked\r\n\r\n"
    local chunk = "400\r\n" .. string.rep("b", 1024) .. "\r\n"
    return { head .. chunk .. chunk .. "0\r\n\r\n" }
  end,
  php = function()
    return { wrk.format("GET", "/index.php?a=1"), wrk.format("POST", "/index.php", nil, "b=2") }
  end,
}

function init(args)
  made = modes[args[1]]()
end

function request()
  at = at % #made + 1
  return made[at]
end

done = function(summary)
  local e = summary.errors
  io.write(string.format('LOAD {"answers": %d, "wrong": %d}\n',
    summary.requests, e.connect + e.read + e.write + e.status + e.timeout))
end
