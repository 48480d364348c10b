"""Each form of an error: place, path, what was found, what was expected, what to do."""

from __future__ import annotations

import pytest

from evener.config import Config, ConfigError

from .forms import MINIMAL, problem

L = 'listeners: {web: {bind: ":80", %s}}'
P = "pools: {app: {servers: 10.0.0.1, %s}}"
S = "pools: {app: [%s]}"

FORMS = {
    "unknown key, with the nearest": (
        P % "retyr: {}",
        "f:1:34: pools.app.retyr: found the key `retyr`, expected one of protocol, scheduler, "
        "affinity, servers, params, check, passive, initial, retry, keepalive, buffer, timeouts, "
        "http, tls "
        "(did you mean `retry`?)",
    ),
    "planned key": (
        P % "slow_start: 30s",
        "f:1:34: pools.app.slow_start: found the key `slow_start`, expected keys that are built "
        "(`slow_start` is planned but not built yet)",
    ),
    "planned word": (
        P % "protocol: grpc",
        "f:1:44: pools.app.protocol: found `grpc`, expected http, https or fastcgi "
        "(`grpc` is planned but not built yet)",
    ),
    "unknown word": (
        P % "initial: upp",
        "f:1:43: pools.app.initial: found `upp`, expected up or down (did you mean `up`?)",
    ),
    "out of bounds, in a list": (
        S % '"10.0.0.1", {address: "10.0.0.2", weight: 65536}',
        "f:1:57: pools.app.servers[1].weight: found `65536`, expected a whole number from 0 to "
        "65535",
    ),
    "bare number of seconds": (
        P % "timeouts: {connect: 5}",
        "f:1:54: pools.app.timeouts.connect: found `5`, expected a time span such as 5s "
        "(write the unit: `5s`)",
    ),
    "bare number of bytes": (
        L % "http: {max_head: 65536}",
        "f:1:49: listeners.web.http.max_head: found `65536`, expected a size such as 64KiB "
        "(write the unit: `65536B`)",
    ),
    "unknown unit": (
        P % "timeouts: {connect: 5sec}",
        "f:1:54: pools.app.timeouts.connect: found `5sec`, expected a time span such as 5s "
        "(units are ms, s, m, h, d)",
    ),
    "finer than the unit of the plan": (
        P % "timeouts: {connect: 0.1ms}",
        "f:1:54: pools.app.timeouts.connect: found `0.1ms`, expected a time span of whole ms",
    ),
    "time beyond its bounds": (
        P % "timeouts: {connect: 400d}",
        "f:1:54: pools.app.timeouts.connect: found `400d`, expected a time span from 1ms to 365d",
    ),
    "share without its unit": (
        P % "check: {tcp, jitter: 10}",
        "f:1:55: pools.app.check[0].jitter: found `10`, expected a share from 0% to 100% "
        "(write the unit: `10%`)",
    ),
    "rate without its unit": (
        L % "timeouts: {min_rate: 500B}",
        "f:1:53: listeners.web.timeouts.min_rate: found `500B`, expected a rate such as 500B/s, "
        "or `off` (units are B/s, KB/s, MB/s, GB/s, TB/s, KiB/s, MiB/s, GiB/s, TiB/s)",
    ),
    "switch": (
        P % "protocol: https, tls: {verify: maybe}",
        "f:1:65: pools.app.tls.verify: found `maybe`, expected on or off",
    ),
    "empty value": (
        "pools:\n  app:\n    initial:\n    servers: 10.0.0.1\n",
        "f:3:12: pools.app.initial: found an empty value, expected up or down (leave the key out "
        "to get its default; text that YAML swallows belongs in quotes)",
    ),
    "mapping where a text belongs": (
        P % "initial: {up: down}",
        "f:1:43: pools.app.initial: found a mapping, expected up or down",
    ),
    "text where a mapping belongs": (
        P % "timeouts: 5s",
        "f:1:44: pools.app.timeouts: found `5s`, expected times (it has the keys connect, send, "
        "response, receive)",
    ),
    "a word where a mapping belongs": (
        P % "retry: off",
        "f:1:41: pools.app.retry: found `off`, expected rules (it has the keys attempts, on)",
    ),
    "missing key": (
        "listeners: {web: {pool: app}}\npools: {app: 10.0.0.1}",
        "f:1:18: listeners.web: found no `bind`, expected `bind`: addresses (for example "
        "`bind: :80`)",
    ),
    "url as a server": (
        S % "http://h:1/x",
        "f:1:15: pools.app.servers[0].address: found `http://h:1/x`, expected an address without "
        "scheme and path (write `h:1`)",
    ),
    "https url as a server": (
        S % "https://h",
        "f:1:15: pools.app.servers[0].address: found `https://h`, expected an address without "
        "scheme and path (write `h` and `protocol: https` in the pool)",
    ),
    "IPv6 without brackets": (
        S % '"2001:db8::1"',
        "f:1:15: pools.app.servers[0].address: found `2001:db8::1`, expected an address such as "
        "10.0.0.1:80, web1:8000, [2001:db8::1]:80 or unix:/path (write IPv6 addresses in "
        "brackets: `[2001:db8::1]`)",
    ),
    "port out of range": (
        S % '"h:65536"',
        "f:1:15: pools.app.servers[0].address: found `h:65536`, expected an address such as "
        "10.0.0.1:80, web1:8000, [2001:db8::1]:80 or unix:/path (a port is a number from 1 to "
        "65535)",
    ),
    "bind to a port alone": (
        'listeners: {web: {bind: "8080", redirect: https}}',
        "f:1:25: listeners.web.bind[0].address: found `8080`, expected an address with a port, "
        'such as :80, 127.0.0.1:80, [::1]:80 or unix:/path (write `":8080"`)',
    ),
    "a switch where an address belongs": (
        "evener: {metrics: {bind: on}}",
        "f:1:26: evener.metrics.bind: found `on`, expected an address with a port, such as :80, "
        "127.0.0.1:80, [::1]:80 or unix:/path, or `off`",
    ),
    "bind to an address without a port": (
        "listeners: {web: {bind: 10.0.0.1, redirect: https}}",
        "f:1:25: listeners.web.bind[0].address: found `10.0.0.1`, expected an address with a port, "
        'such as :80, 127.0.0.1:80, [::1]:80 or unix:/path (write the port: `"10.0.0.1:80"`)',
    ),
    "share as a part of one": (
        P % "check: {tcp, jitter: 0.5}",
        "f:1:55: pools.app.check[0].jitter: found `0.5`, expected a share from 0% to 100% "
        "(write the unit: `50%`, or `0.5%`)",
    ),
    "hash of a word that is none": (
        P % "scheduler: {name: hash, key: x-user}",
        "f:1:63: pools.app.scheduler.key: found `x-user`, expected one of the words client.ip, "
        "client.port, peer.ip, host, path, uri, method, scheme, tls.sni, request.id, server, pool, "
        "route, now, query.NAME, header.NAME, cookie.NAME (the value of a header is "
        "`header.x-user`)",
    ),
    "bind to a descriptor": (
        'listeners: {web: {bind: "fd:x", redirect: https}}',
        "f:1:25: listeners.web.bind[0].address: found `fd:x`, expected an address with a port, "
        "such as :80, 127.0.0.1:80, [::1]:80 or unix:/path (`fd:` is planned but not built yet)",
    ),
    "network with bits beyond its prefix": (
        L % "redirect: https, trusted_proxies: 10.0.0.1/8",
        "f:1:66: listeners.web.trusted_proxies[0]: found `10.0.0.1/8`, expected a network such as "
        "10.0.0.0/8 or 2001:db8::/32, an address, or `unix` (bits beyond the prefix are set: "
        "write `10.0.0.0/8`)",
    ),
    "name": (
        "pools: {App: 10.0.0.1}",
        "f:1:9: pools.App: found `App`, expected a name of a-z, 0-9, `_`, `-` and `.` (names begin "
        "with a letter or digit, are in lower case and have at most 63 characters)",
    ),
    "pool that is not there": (
        L % "pool: ap" + "\n" + S % "10.0.0.1",
        "f:1:38: listeners.web.pool: found `ap`, expected one of the pools: app "
        "(did you mean `app`?)",
    ),
    "pool of a condition that is not there": (
        L % "routes: [{respond: {needs: {pool: web}}}]" + "\n" + S % "10.0.0.1",
        "f:1:66: listeners.web.routes[0].respond.needs.pool: found `web`, expected one of the "
        "pools: app",
    ),
    "same server twice": (
        S % "10.0.0.1, 10.0.0.1:80",
        "f:1:25: pools.app.servers[1]: found the server `10.0.0.1:80` twice, expected each server "
        "once (it stands first at f:1:15; give one of them an `id`)",
    ),
    "same key twice": (
        "pools:\n  app: 10.0.0.1\n  app: 10.0.0.2\n",
        "f:3:3: pools.app: found the key `app` twice, expected each key once "
        "(it stands first at f:2:3)",
    ),
    "merge key": (
        "pools: {app: {<<: {initial: up}, servers: 10.0.0.1}}",
        "f:1:15: pools.app.<<: found the merge key `<<`, expected keys of their own "
        "(what several things share stands in `defaults.listener`, `.pool` or `.route`)",
    ),
    "key that is no text": (
        "pools: {app: {[a]: b, servers: 10.0.0.1}}",
        "f:1:15: pools.app: found a key that is no text, expected a name "
        "(a value that begins with `{`, `[` or `*` is text only in quotes: put it in quotes)",
    ),
    "variable that is not set": (
        S % "'${HOST}:80'",
        "f:1:15: pools.app[0]: found `${HOST}:80`, expected the environment variable HOST to be "
        "set (set it, or give a default: `${HOST:-value}`)",
    ),
    "route without an answer": (
        L % "routes: [{path: /x}]",
        "f:1:41: listeners.web.routes[0]: found none of them, expected exactly one of `pool` or "
        "`respond` or `redirect`",
    ),
    "route with two answers": (
        L % "routes: [{redirect: /x, respond: 404}]",
        "f:1:41: listeners.web.routes[0]: found `redirect` and `respond`, expected exactly one of "
        "`pool` or `respond` or `redirect`",
    ),
    "body of an answer without one": (
        L % "routes: [{respond: {status: 204, body: x}}]",
        "f:1:71: listeners.web.routes[0].respond.body: found a body with status 204, expected none "
        "(this status has no body)",
    ),
    "check of a kind that is misspelt": (
        P % "check: {htp: /}",
        "f:1:42: pools.app.check[0].htp: found the key `htp`, expected one of http, tcp, every, "
        "timeout, rise, fall, fast, down, jitter, host, method, headers, expect, port "
        "(did you mean `http`?)",
    ),
    "affinity of a kind that is not built": (
        P % "affinity: {cookie: x}",
        "f:1:45: pools.app.affinity.cookie: found the key `cookie`, expected keys that are built "
        "(`cookie` is planned but not built yet)",
    ),
    "check without a kind": (
        P % "check: {every: 1s}",
        "f:1:41: pools.app.check[0]: found none of them, expected exactly one of `http` or `tcp`",
    ),
    "key of another kind of check": (
        P % "check: {tcp, method: GET}",
        "f:1:55: pools.app.check[0].method: found `method` in a tcp check, expected it in an http "
        "check (write `http: /path`)",
    ),
    "http key on a tcp listener": (
        L % "protocol: tcp, pool: app, http: {max_fields: 5}" + "\n" + S % "10.0.0.1",
        "f:1:64: listeners.web.http: found `http` with `protocol: tcp`, expected it with http only "
        "(a tcp listener relays bytes to its pool)",
    ),
    "times of requests on a tcp listener": (
        L % "protocol: tcp, pool: app, timeouts: {idle: 5s}" + "\n" + S % "10.0.0.1",
        "f:1:75: listeners.web.timeouts.idle: found `idle` with `protocol: tcp`, expected it with "
        "http only (a session has `timeouts.tunnel`, and `timeouts.tls` before it)",
    ),
    "tcp listener of programs": (
        L % "protocol: tcp, pool: app" + "\npools: {app: {protocol: fastcgi, servers: 'unix:/p'}}",
        "f:1:53: listeners.web.pool: found `app`, a pool of FastCGI servers, with `protocol: tcp`, "
        "expected a pool whose servers speak as clients do (a tcp listener relays bytes as they "
        "come: without FastCGI leave `protocol` out)",
    ),
    "authorities that verify nothing": (
        P % "tls: {verify: off, ca: /ca.pem}",
        "f:1:57: pools.app.tls.ca: found `ca` with `verify: off`, expected `verify: on` (nothing "
        "is verified without it: take one of them out)",
    ),
    "a scheduler as it is shown": (
        P % "scheduler: lvs/wlc",
        "f:1:45: pools.app.scheduler.name: found `lvs/wlc`, expected the name without its program "
        "(write `wlc`)",
    ),
    "a scheduler of several as it is shown": (
        P % "scheduler: haproxy/random",
        "f:1:45: pools.app.scheduler.name: found `haproxy/random`, expected the name without its "
        "program (write `{name: random, as: haproxy}`)",
    ),
    "a scheduler that another program spells otherwise": (
        P % "scheduler: {name: least_conn, as: haproxy}",
        "f:1:68: pools.app.scheduler.as: found `haproxy` with `least_conn`, expected `nginx` (did "
        "you mean `leastconn`?)",
    ),
    "tcp listener without a pool": (
        L % "protocol: tcp",
        "f:1:18: listeners.web: found no `pool` with `protocol: tcp`, expected `pool`: the name of "
        "a pool",
    ),
    "redirect beside a pool": (
        L % "redirect: https, pool: app" + "\n" + S % "10.0.0.1",
        "f:1:55: listeners.web.pool: found `pool` beside `redirect`, expected one answer (the "
        "whole listener answers with the redirect: take one of them out)",
    ),
    "params without fastcgi": (
        P % "params: {A: b}",
        "f:1:42: pools.app.params: found `params` with `protocol: http`, expected them with "
        "`protocol: fastcgi` (HTTP has no parameters)",
    ),
    "a version that is not built": (
        L % "http: {versions: [h1, h2]}, pool: app" + "\n" + S % "10.0.0.1",
        "f:1:54: listeners.web.http.versions[1]: found `h2`, expected h1 (`h2` is planned but not "
        "built yet)",
    ),
    "a violation that nobody knows": (
        P % "http: {accept: [crlf]}",
        "f:1:50: pools.app.http.accept[0]: found `crlf`, expected lf, obs_fold or bad_names (did "
        "you mean `lf`?)",
    ),
    "violations of a program": (
        "pools: {app: {protocol: fastcgi, servers: '10.0.0.1:9000', http: {accept: lf}}}",
        "f:1:75: pools.app.http.accept: found `accept` with `protocol: fastcgi`, expected it with "
        "servers that speak HTTP (heads of programs may end their lines with LF anyhow; leave it "
        "out)",
    ),
    "fastcgi server without a port": (
        P % "protocol: fastcgi",
        "f:1:24: pools.app.servers[0].address: found `10.0.0.1`, expected an address with a port "
        "(php-fpm's is `10.0.0.1:9000`)",
    ),
    "https without tls": (
        P % "protocol: https, tls: off",
        "f:1:56: pools.app.tls: found `off` with `protocol: https`, expected keys of tls (write "
        "`protocol: http`)",
    ),
    "admin on TCP": (
        'evener: {admin: {bind: "127.0.0.1:9000"}}',
        "f:1:24: evener.admin.bind: found `127.0.0.1:9000`, expected a unix socket such as "
        "unix:/run/evener/admin.sock (tokens and client certificates, without which TCP is "
        "closed, are not built yet)",
    ),
    "metrics on a unix socket": (
        "evener: {metrics: {bind: 'unix:/run/m.sock'}}",
        "f:1:26: evener.metrics.bind: found `unix:/run/m.sock`, expected a TCP address such as "
        "127.0.0.1:9901 (on a unix socket the page is at `admin.bind`)",
    ),
    "metrics where a listener is": (
        L % "redirect: https" + "\nevener: {metrics: {bind: '127.0.0.1:80'}}",
        "f:2:26: evener.metrics.bind: found `127.0.0.1:80` beside `:80`, expected each address "
        "once (it is listened on first at f:1:25, listeners.web.bind[0])",
    ),
    "all addresses and those of IPv6": (
        "listeners: {a: {bind: '[::]:80', redirect: https}, b: {bind: ':80', redirect: https}}",
        "f:1:62: listeners.b.bind[0]: found `:80` beside `[::]:80`, expected each address once "
        "(it is listened on first at f:1:23, listeners.a.bind[0])",
    ),
    "the admin socket where a listener is": (
        "listeners: {a: {bind: 'unix:/a', redirect: https}}\nevener: {admin: {bind: 'unix:/a'}}",
        "f:2:24: evener.admin.bind: found `unix:/a` twice, expected each address once "
        "(it is listened on first at f:1:23, listeners.a.bind[0])",
    ),
    "http check of a program": (
        "pools: {app: {protocol: fastcgi, servers: 'unix:/p', check: [tcp, {http: /up}]}}",
        "f:1:74: pools.app.check[1].http: found an http check of FastCGI servers, expected a check "
        "that they can answer (write `check: tcp`)",
    ),
    "permissions of a TCP socket": (
        "listeners: {web: {bind: {address: ':80', mode: 0600}, redirect: https}}",
        "f:1:48: listeners.web.bind[0].mode: found `mode`, expected it on unix sockets only (leave "
        "it out)",
    ),
    "unknown word in a template": (
        L % "routes: [{redirect: 'https://{hots}/'}]",
        "f:1:52: listeners.web.routes[0].redirect.to: found `https://{hots}/`, expected one of the "
        "words client.ip, client.port, peer.ip, host, path, uri, method, scheme, tls.sni, "
        "request.id, server, pool, route, now, query.NAME, header.NAME, cookie.NAME (did you mean "
        "`host`?)",
    ),
    "open brace in a template": (
        L % "routes: [{redirect: 'https://{host'}]",
        "f:1:52: listeners.web.routes[0].redirect.to: found `https://{host`, expected a `}` after "
        "each word in braces (write `{{` for a brace)",
    ),
    "star in the middle of a path": (
        L % "routes: [{path: /a/*/b, respond: 200}]",
        "f:1:48: listeners.web.routes[0].match.path[0]: found `/a/*/b`, expected a path such as "
        "/x, /x/* or /x/, or {exact: …}, {regex: …}, {glob: …} (other stars need "
        "`{glob: /a/*/b}`)",
    ),
    "path that no request can have": (
        L % "routes: [{path: /a/../b, respond: 200}]",
        "f:1:48: listeners.web.routes[0].match.path[0]: found `/a/../b`, expected a path such as "
        "/x, /x/* or /x/, or {exact: …}, {regex: …}, {glob: …} (segments `.` and `..` are answered "
        "400 before routes are asked)",
    ),
    "look-around": (
        L % "routes: [{path: {regex: '(?=a)'}, respond: 200}]",
        "f:1:56: listeners.web.routes[0].match.path[0].regex: found `(?=a)`, expected a regular "
        "expression (look-around is left out: a request could make it take long)",
    ),
    "a regular expression that is none": (
        L % "routes: [{path: {regex: '('}, respond: 200}]",
        "f:1:56: listeners.web.routes[0].match.path[0].regex: found `(`, expected a regular "
        "expression (unclosed group)",
    ),
    "a regular expression that is none, of a header": (
        L % "routes: [{header: {a: {regex: '[z-a]'}}, respond: 200}]",
        "f:1:62: listeners.web.routes[0].match.header.a.regex: found `[z-a]`, expected a regular "
        "expression (invalid character class range, the start must be <= the end)",
    ),
    "port in a host pattern": (
        L % "routes: [{host: 'a.example:80', respond: 200}]",
        "f:1:48: listeners.web.routes[0].match.host[0]: found `a.example:80`, expected a host name "
        "such as a.example or *.a.example (the port is ignored: write `a.example`)",
    ),
    "method in small letters": (
        L % "routes: [{method: get, respond: 200}]",
        "f:1:50: listeners.web.routes[0].match.method[0]: found `get`, expected a method such as "
        "GET (methods are in capitals)",
    ),
    "empty list of alternatives": (
        L % "routes: [{method: [], respond: 200}]",
        "f:1:50: listeners.web.routes[0].match.method: found an empty list, expected methods",
    ),
    "two forms of a path": (
        L % "routes: [{path: {exact: /a, regex: b}, respond: 200}]",
        "f:1:48: listeners.web.routes[0].match.path[0]: found a mapping, expected a path such as "
        "/x, /x/* or /x/, or {exact: …}, {regex: …}, {glob: …} (exactly one of exact, regex, glob)",
    ),
    "form of a header that is not known": (
        L % "routes: [{header: {a: {prefx: b}}, respond: 200}]",
        "f:1:55: listeners.web.routes[0].match.header.a.prefx: found the key `prefx`, expected one "
        "of prefix, regex, present (did you mean `prefix`?)",
    ),
    "a match key beside the same in match": (
        L % "routes: [{match: {host: a}, host: b, respond: 200}]",
        "f:1:60: listeners.web.routes[0].host: found the key `host`, expected one of `match.host` "
        "and its short form (write it into `match`, once)",
    ),
    "one host in two cases": (
        S % '"Web1:80", "web1:80"',
        "f:1:26: pools.app.servers[1]: found the server `web1:80` twice, expected each server once "
        "(it stands first at f:1:15; give one of them an `id`)",
    ),
    "a host with the dot of the root": (
        S % '"web1.:80"',
        "f:1:15: pools.app.servers[0].address: found `web1.:80`, expected an address such as "
        "10.0.0.1:80, web1:8000, [2001:db8::1]:80 or unix:/path (leave out the dot at the end: "
        "`web1`)",
    ),
    "a run directory with no room for the names of its sockets": (
        f"evener: {{run: /{'x' * 87}}}",
        "f:1:15: evener.run: found a path of 88 bytes, expected one of 87 at most (there are "
        "sockets in it)",
    ),
    "several servers in one text": (
        S % '"10.0.0.1:80 10.0.0.2:80"',
        "f:1:15: pools.app.servers[0].address: found `10.0.0.1:80 10.0.0.2:80`, expected an "
        "address such as 10.0.0.1:80, web1:8000, [2001:db8::1]:80 or unix:/path (several are a "
        "list)",
    ),
    "a regular expression as nginx writes it": (
        L % "routes: [{path: '~* ^/a.*', respond: 200}]",
        "f:1:48: listeners.web.routes[0].match.path[0]: found `~* ^/a.*`, expected a path such as "
        "/x, /x/* or /x/, or {exact: …}, {regex: …}, {glob: …} (a regular expression is written "
        "`{regex: '^/a.*'}`)",
    ),
    "include in a text": (
        "include: x.yaml",
        "f:1:10: include: found `include` outside a file, expected a configuration loaded from a "
        "file",
    ),
    "not a mapping at all": (
        "- a",
        "f:1:1: found a list, expected a mapping with evener, defaults, listeners and pools",
    ),
    "in defaults, without anything that takes them": (
        "defaults: {pool: {initial: upp}}",
        "f:1:28: defaults.pool.initial: found `upp`, expected up or down (did you mean `up`?)",
    ),
}


def test_a_listener_may_be_on_a_part_of_anothers_address() -> None:
    text = "listeners: {a: {bind: ':80', redirect: https}, b: {bind: '[::1]:80', redirect: https}}"
    assert Config.parse(text).problems() == ()


@pytest.mark.parametrize(("text", "words"), FORMS.values(), ids=FORMS.keys())
def test_an_error_says_where_what_and_what_to_do(text: str, words: str) -> None:
    assert str(problem(text)) == words


def test_all_errors_come_at_once_in_the_order_of_the_text() -> None:
    text = (
        "listeners:\n"
        "  web: {bind: ':80x', pool: ap}\n"
        "pools:\n"
        "  app: {servers: [{address: h, weight: heavy, teir: 1}], initial: upp}\n"
    )
    paths = [each.path for each in Config.parse(text).problems()]
    assert paths == [
        "listeners.web.bind[0].address",
        "listeners.web.pool",
        "pools.app.servers[0].weight",
        "pools.app.servers[0].teir",
        "pools.app.initial",
    ]


def test_what_cannot_be_read_moves_no_error_to_another_place() -> None:
    text = (
        "listeners:\n"
        "  web:\n"
        "    bind: ['x:1', ':80', ':80']\n"
        "    routes: [{path: x, pool: app}, {pool: ap}]\n"
        "pools:\n"
        "  app:\n"
        "    protocol: fastcgi\n"
        "    servers: ['http://h', 'h:1', 'h:1']\n"
        "    check: [{every: 1}, {http: /}]\n"
    )
    paths = {each.path: each.place.column for each in Config.parse(text).problems()}
    assert paths["listeners.web.bind[2]"] == 26
    assert paths["listeners.web.routes[1].pool"] == 43
    assert paths["pools.app.servers[2]"] == 34
    assert paths["pools.app.check[1].http"] == 32


def test_an_error_in_defaults_is_told_once_however_many_take_it() -> None:
    text = "defaults: {pool: {initial: upp}}\npools: {a: 10.0.0.1, b: 10.0.0.2}\n"
    assert problem(text).path == "defaults.pool.initial"


def test_a_problem_renders_as_what_where_and_what_to_do() -> None:
    assert problem(P % "timeouts: {connect: 5}").render() == (
        "found `5`, expected a time span such as 5s\n"
        "  at f:1:54, pools.app.timeouts.connect\n"
        "  write the unit: `5s`"
    )


@pytest.mark.parametrize(
    "text",
    ['"ev\\e[2J\\r": 1', 'evener: {log: {level: "ev\\e[2J\\r"}}', 'pools: {"ev\\e[2J\\r": [h]}'],
)
def test_what_a_terminal_would_obey_is_shown_as_an_escape(text: str) -> None:
    file = "conf.d/\x1b]0;x\x07.yaml"
    (problem,) = Config.parse(text, file=file).problems()
    for words in (str(problem), *problem.render().splitlines()):
        assert words.isprintable(), words
    assert r"ev\x1b[2J\r" in problem.render() and r"\x1b]0;x\x07.yaml" in problem.render()


def test_a_tree_built_in_python_has_paths_instead_of_places() -> None:
    config = Config({"pools": {"a": {"servers": "h", "initial": 5}, "b": {"initial": 5}}}, env={})
    assert [str(each) for each in config.problems()] == [
        "(Python): pools.a.initial: found `5`, expected up or down",
        "(Python): pools.b.initial: found `5`, expected up or down",
        "(Python): pools.b: found no `servers`, expected `servers`: servers (for example "
        '`servers: ["10.0.0.1:80", "10.0.0.2:80"]`)',
    ]


def test_settings_of_a_wrong_configuration_raise_with_all_problems() -> None:
    config = Config.parse(MINIMAL.replace("pool: app", "pool: x") + "evener: {shards: 0}\n")
    with pytest.raises(ConfigError) as caught:
        config.check()
    assert [each.path for each in caught.value.problems] == ["listeners.web.pool", "evener.shards"]
    assert caught.value.render().count("\n  at ") == 2


def test_what_is_no_yaml_is_one_error_with_advice() -> None:
    with pytest.raises(ConfigError) as caught:
        Config.parse("listeners:\n  web: {bind: [::]:80}\n", file="f")
    (only,) = caught.value.problems
    assert (only.place.line, only.place.column) == (2, 15)
    assert "put it in quotes" in only.hint
