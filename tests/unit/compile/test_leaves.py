"""Each key of the schema reaches the plan, a secret, a socket or the supervisor's settings.

The table names every leaf of the schema with a configuration that writes it and what it must
become; a leaf that is missing here fails, so that no key is accepted and ignored.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from evener.compile import Compiled, Facts, compile
from evener.config import Config
from evener.config.explain import leaves

Step = str | int
L = 'listeners: {web: {bind: ":80", pool: app, %s}}\npools: {app: 10.0.0.1}'
R = 'listeners: {web: {bind: ":80", routes: [{%s}]}}\npools: {app: 10.0.0.1}'
P = "pools: {app: {servers: 10.0.0.1, %s}}"
S = "pools: {app: {protocol: fastcgi, servers: [{address: '10.0.0.1:9000', %s}]}}"
T = "listeners: {web: {bind: ':443', pool: app, tls: {%s}}}\npools: {app: 10.0.0.1}"
C = "pools: {app: {servers: 10.0.0.1, check: {http: /, %s}}}"
H = "pools: {app: {servers: 10.0.0.1, protocol: https, tls: {%s}}}"


def of(*path: Step) -> Callable[[Compiled], Any]:
    """What stands at a path of the plan."""

    def find(compiled: Compiled) -> Any:
        found: Any = compiled.plan
        for step in path:
            found = found[step]
        return found

    return find


def listener(*path: Step) -> Callable[[Compiled], Any]:
    """What stands at a path of the only listener."""
    return of("listeners", 0, *path)


def pool(*path: Step) -> Callable[[Compiled], Any]:
    """What stands at a path of the only pool."""
    return of("pools", 0, *path)


def route(*path: Step) -> Callable[[Compiled], Any]:
    """What stands at a path of the only route."""
    return listener("routes", 0, *path)


def check(*path: Step) -> Callable[[Compiled], Any]:
    """What stands at a path of the only check."""
    return pool("checks", 0, *path)


def setting(name: str) -> Callable[[Compiled], Any]:
    """One of the supervisor's settings."""
    return lambda compiled: getattr(compiled.settings, name)


def files(compiled: Compiled) -> Any:
    """The files of the only secret."""
    (secret,) = compiled.secrets.values()
    return secret.files


LEAVES: dict[str, tuple[str, Callable[[Compiled], Any], Any]] = {
    "evener.run": ("evener: {run: /r}", setting("run"), "/r"),
    "evener.state": ("evener: {state: /s}", setting("state"), "/s"),
    "evener.shards": ("evener: {shards: 3}", setting("shards"), 3),
    "evener.drain.requests": ("evener: {drain: {requests: 7s}}", of("drain", "requests"), 7000),
    "evener.drain.tunnels": ("evener: {drain: {tunnels: 7s}}", of("drain", "tunnels"), 7000),
    "evener.limits.connections": ("evener: {limits: {connections: 9}}", of("connections"), 9),
    "evener.admin.bind": ('evener: {admin: {bind: "unix:/a"}}', setting("admin"), "/a"),
    "evener.metrics.bind": (
        'evener: {metrics: {bind: "127.0.0.1:9901"}}',
        setting("metrics"),
        "127.0.0.1:9901",
    ),
    "evener.log.level": ("evener: {log: {level: debug}}", setting("log_level"), "debug"),
    "evener.log.to": ("evener: {log: {to: /l}}", setting("log_to"), "/l"),
    "evener.log.access.format": (
        "evener: {log: {access: combined}}",
        of("access_log", "format"),
        "combined",
    ),
    "evener.log.access.to": ("evener: {log: {access: {to: /a}}}", setting("access_to"), "/a"),
    "evener.log.access.sample": (
        "evener: {log: {access: {sample: 50%}}}",
        of("access_log", "sample"),
        0.5,
    ),
    "defaults.listener": (
        "defaults: {listener: {timeouts: {idle: 3s}}}\n" + L % "",
        listener("timeouts", "idle"),
        3000,
    ),
    "defaults.pool": ("defaults: {pool: {initial: down}}\n" + P % "", pool("initial"), "down"),
    "defaults.route": (
        "defaults: {route: {host: h}}\n" + R % "pool: app",
        route("match", "host"),
        ["h"],
    ),
    "listeners.NAME.bind[].address": (L % "", listener("bind"), ["0.0.0.0:80", "[::]:80"]),
    "listeners.NAME.bind[].mode": (
        "listeners: {web: {bind: {address: 'unix:/w', mode: 0606}, redirect: https}}",
        lambda compiled: compiled.binds[0].mode,
        0o606,
    ),
    "listeners.NAME.bind[].group": (
        "listeners: {web: {bind: {address: 'unix:/w', group: g}, redirect: https}}",
        lambda compiled: compiled.binds[0].group,
        "g",
    ),
    "listeners.NAME.protocol": (L % "protocol: tcp", listener("protocol"), "tcp"),
    "listeners.NAME.tls.certificates[].cert": (T % "certificates: /c", files, ("/c",)),
    "listeners.NAME.tls.certificates[].key": (
        T % "certificates: {cert: /c, key: /k}",
        files,
        ("/c", "/k"),
    ),
    "listeners.NAME.tls.min_version": (
        T % "certificates: /c, min_version: 1.3",
        listener("tls", "min_version"),
        "1.3",
    ),
    "listeners.NAME.http.max_head": (
        L % "http: {max_head: 2KiB}",
        listener("http", "max_head"),
        2048,
    ),
    "listeners.NAME.http.max_fields": (
        L % "http: {max_fields: 7}",
        listener("http", "max_fields"),
        7,
    ),
    "listeners.NAME.http.max_body": (
        L % "http: {max_body: 1KB}",
        listener("http", "max_body"),
        1000,
    ),
    "listeners.NAME.http.versions": (
        T % "certificates: /c}, http: {versions: [h1]",
        listener("tls", "alpn"),
        ["http/1.1"],
    ),
    "listeners.NAME.http.underscores": (
        L % "http: {underscores: refuse}",
        listener("http", "underscores"),
        "refuse",
    ),
    "listeners.NAME.http.via": (L % "http: {via: on}", listener("http", "via"), True),
    "listeners.NAME.http.interim": (
        L % "http: {interim: drop}",
        listener("http", "interim"),
        "drop",
    ),
    "listeners.NAME.http.accept": (
        L % "http: {accept: [lf, bad_names, lf]}",
        listener("http", "accept"),
        ["lf", "bad_names"],
    ),
    "pools.NAME.http.accept": (
        P % "http: {accept: lf}",
        pool("http", "accept"),
        ["lf"],
    ),
    "listeners.NAME.trusted_proxies": (
        L % "trusted_proxies: [10.0.0.0/8, unix]",
        listener("trusted_proxies"),
        ["10.0.0.0/8", "unix"],
    ),
    **{
        f"listeners.NAME.timeouts.{name}": (
            L % f"timeouts: {{{name}: 3s}}",
            listener("timeouts", name),
            3000,
        )
        for name in ("tls", "head", "body", "send", "idle")
    },
    "listeners.NAME.timeouts.tunnel.idle": (
        L % "timeouts: {tunnel: 3s}",
        listener("timeouts", "tunnel_idle"),
        3000,
    ),
    "listeners.NAME.timeouts.tunnel.max": (
        L % "timeouts: {tunnel: {max: 3s}}",
        listener("timeouts", "tunnel_max"),
        3000,
    ),
    "listeners.NAME.timeouts.min_rate": (
        L % "timeouts: {min_rate: 1KiB/s}",
        listener("timeouts", "min_rate"),
        1024,
    ),
    "listeners.NAME.limits.connections": (
        L % "limits: {connections: 8}",
        listener("connections"),
        8,
    ),
    "listeners.NAME.limits.per_client": (
        L % "limits: {per_client: 8}",
        listener("per_client"),
        8,
    ),
    "listeners.NAME.limits.rate_per_client": (
        L % "limits: {rate_per_client: 30/m}",
        listener("rate_per_client"),
        {"count": 30, "per": 60_000},
    ),
    "listeners.NAME.redirect": (
        "listeners: {web: {bind: ':80', redirect: 'http://x{uri}'}}",
        listener("redirect"),
        {"to": "http://x{uri}", "status": None},
    ),
    "listeners.NAME.routes[].buffer.request": (
        R % "pool: app, buffer: {request: 1MiB}",
        route("buffer"),
        {"request": 1 << 20, "response": None},
    ),
    "listeners.NAME.routes[].buffer.response": (
        R % "pool: app, buffer: {response: off}",
        route("buffer"),
        {"request": None, "response": 0},
    ),
    "pools.NAME.buffer.request": (P % "buffer: {request: 1KiB}", pool("buffer", "request"), 1024),
    "pools.NAME.buffer.response": (P % "buffer: {response: off}", pool("buffer", "response"), 0),
    "listeners.NAME.routes[].match.host": (
        R % "host: A.b, pool: app",
        route("match", "host"),
        ["a.b"],
    ),
    "listeners.NAME.routes[].match.path": (
        R % "path: [/a, /a/*, /a/, /*, /], pool: app",
        route("match", "path"),
        [{"exact": "/a"}, {"within": "/a"}, {"below": "/a/"}, {"within": ""}, {"below": "/"}],
    ),
    "listeners.NAME.routes[].match.method": (
        R % "method: PUT, pool: app",
        route("match", "method"),
        ["PUT"],
    ),
    "listeners.NAME.routes[].match.header": (
        R % "header: {X-A: b}, pool: app",
        route("match", "header"),
        [{"name": "x-a", "value": {"any_of": ["b"]}}],
    ),
    "listeners.NAME.routes[].match.not": (
        R % "not: {host: h}, pool: app",
        route("match", "not", "host"),
        ["h"],
    ),
    "listeners.NAME.routes[].pool": (R % "pool: app", route("answer"), {"pool": "app"}),
    "listeners.NAME.routes[].respond.status": (
        R % "respond: 204",
        route("answer", "respond", "status"),
        204,
    ),
    "listeners.NAME.routes[].respond.body": (
        R % "respond: {body: hi}",
        route("answer", "respond", "body"),
        "hi",
    ),
    "listeners.NAME.routes[].respond.type": (
        R % "respond: {type: text/html}",
        route("answer", "respond", "type"),
        "text/html",
    ),
    "listeners.NAME.routes[].respond.needs.pool": (
        R % "respond: {needs: app}",
        route("answer", "respond", "needs"),
        {"pool": "app", "up": 1},
    ),
    "listeners.NAME.routes[].respond.needs.up": (
        R % "respond: {needs: {pool: app, up: 3}}",
        route("answer", "respond", "needs", "up"),
        3,
    ),
    "listeners.NAME.routes[].redirect.to": (
        R % "redirect: /x",
        route("answer", "redirect", "to"),
        "/x",
    ),
    "listeners.NAME.routes[].redirect.status": (
        R % "redirect: {to: /x, status: 308}",
        route("answer", "redirect", "status"),
        308,
    ),
    **{
        f"listeners.NAME.routes[].{which}.{kind}": (
            R % f"pool: app, {which}: {{{kind}: {text}}}",
            route(which, kind),
            value,
        )
        for which in ("request_headers", "response_headers")
        for kind, text, value in (
            ("set", "{A: '{uri}'}", [{"name": "A", "value": "{uri}"}]),
            ("add", "{A: [1, 2]}", [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]),
            ("remove", "A", ["A"]),
        )
    },
    "listeners.NAME.pool": (L % "", listener("pool"), "app"),
    "pools.NAME.protocol": (
        "pools: {app: {protocol: fastcgi, servers: unix:/p}}",
        pool("protocol"),
        "fastcgi",
    ),
    "pools.NAME.scheduler.name": (
        P % "scheduler: least_conn",
        pool("scheduler", "name"),
        "nginx/least_conn",
    ),
    "pools.NAME.scheduler.as": (
        P % "scheduler: {name: random, as: haproxy}",
        pool("scheduler", "name"),
        "haproxy/random",
    ),
    "pools.NAME.scheduler.key": (
        P % "scheduler: {name: maglev, key: header.x}",
        pool("key"),
        "{header.x}",
    ),
    **{
        f"pools.NAME.scheduler.{name}": (
            P % f"scheduler: {{name: {of_}, {name}: {text}}}",
            pool("scheduler", *into.split()),
            value,
        )
        for name, of_, text, into, value in (
            ("consistent", "source", "on", "hash consistent", True),
            ("measure", "least_time", "last_byte", "measure", "last_byte"),
            ("inflight", "least_time", "on", "inflight", True),
            ("two", "random, as: nginx", "least_conn", "two", "least_conn"),
            ("inactive", "wlc", "7s", "inactive", 7000),
            ("flags", "sh", "port", "port", True),
            ("expiration", "lblc", "7s", "expiration", 7000),
            ("function", "source", "crc32", "hash function", "crc32"),
            ("avalanche", "source", "on", "hash avalanche", True),
            ("balance_factor", "random, as: haproxy", "120%", "ring balance_factor", 120),
            ("hash_key", "random, as: haproxy", "addr", "ring key", "addr"),
            ("preserve_affinity", "random, as: haproxy", "maxconn", "ring pass_full", True),
            ("len", "uri", "7", "len", 7),
            ("depth", "uri", "7", "depth", 7),
            ("whole", "uri", "on", "whole", True),
            ("path_only", "uri", "on", "path_only", True),
            ("param", "url_param", "a", "param", "a"),
            ("check_post", "url_param, param: a", "on", "check_post", True),
            ("header", "hdr", "A", "header", "a"),
            ("domain_only", "hdr, header: a", "on", "domain_only", True),
            ("cookie", "rdp-cookie", "msts", "cookie", "msts"),
            ("wait", "rdp-cookie", "7s", "wait", 7000),
            ("draws", "random", "7", "draws", 7),
            ("decay", "peak_ewma", "7s", "decay", 7000),
            ("unknown", "peak_ewma", "7s", "unknown", 7000),
            ("estimates", "prequal", "7", "estimates", 7),
            ("probes", "prequal", "700%", "probes", 700),
            ("age", "prequal", "7s", "age", 7000),
            ("hot", "prequal", "70%", "hot", 70),
            ("table", "maglev", "777", "table", 777),
            ("points", "ring", "7", "points", 7),
            ("excess", "bounded_hash", "7%", "excess", 7),
        )
    },
    **{
        f"pools.NAME.scheduler.{name}": (
            P % f"scheduler: {{name: python, policy: 'm:M', {name}: {text}}}",
            pool("scheduler", *into.split()),
            value,
        )
        for name, text, into, value in (
            ("timeout", "9ms", "timeout", 9),
            ("fallback", "maglev", "fallback name", "evener/maglev"),
        )
    },
    "pools.NAME.scheduler.scope": (
        P % "scheduler: {name: wlc, scope: shard}",
        pool("scope"),
        "shard",
    ),
    "pools.NAME.scheduler.policy": (
        P % "scheduler: {name: python, policy: 'm:M'}",
        pool("scheduler", "policy"),
        "m:M",
    ),
    "pools.NAME.scheduler.expire_quiescent": (
        P % "affinity: {client_ip: 9s}, scheduler: {name: wlc, expire_quiescent: on}",
        pool("scheduler", "persistence", "expire_quiescent"),
        True,
    ),
    "pools.NAME.affinity.client_ip.for": (
        P % "affinity: {client_ip: 9s}, scheduler: wlc",
        pool("scheduler", "persistence", "timeout"),
        9000,
    ),
    "pools.NAME.affinity.client_ip.mask": (
        P % "affinity: {client_ip: {mask: 255.255.0.0}}, scheduler: wlc",
        pool("scheduler", "persistence", "prefix_v4"),
        16,
    ),
    "pools.NAME.servers[].max_connections.high": (
        S % "max_connections: 7",
        pool("servers", 0, "limits", "most"),
        7,
    ),
    "pools.NAME.servers[].max_connections.low": (
        (P % "scheduler: wlc").replace(
            "10.0.0.1", "[{address: 10.0.0.1, max_connections: {high: 7, low: 3}}]"
        ),
        pool("servers", 0, "limits", "again"),
        3,
    ),
    "pools.NAME.servers[].address": (P % "", pool("servers", 0, "address"), "10.0.0.1:80"),
    "pools.NAME.servers[].id": (S % "id: a", pool("servers", 0, "id"), "a"),
    "pools.NAME.servers[].weight": (S % "weight: 5", pool("servers", 0, "weight"), 5),
    "pools.NAME.servers[].tier": (S % "tier: 2", pool("servers", 0, "tier"), 2),
    "pools.NAME.servers[].admin": (S % "admin: maint", pool("servers", 0, "admin"), "maint"),
    "pools.NAME.servers[].params": (
        S % "params: {A: '{uri}'}",
        pool("servers", 0, "params"),
        {"A": "{uri}"},
    ),
    "pools.NAME.params": (
        "pools: {app: {protocol: fastcgi, servers: unix:/p, params: {DOCUMENT_ROOT: /w/}}}",
        pool("params"),
        {"DOCUMENT_ROOT": "/w/"},
    ),
    "pools.NAME.check[].http": (C % "", check("kind", "http", "path"), "/"),
    "pools.NAME.check[].tcp": (P % "check: tcp", check("kind"), {"tcp": {}}),
    **{
        f"pools.NAME.check[].{name}": (C % f"{name}: {text}", check(name), value)
        for name, text, value in (
            ("every", "9s", 9000),
            ("timeout", "9s", 9000),
            ("rise", "9", 9),
            ("fall", "9", 9),
            ("fast", "9s", 9000),
            ("down", "9s", 9000),
            ("jitter", "25%", 0.25),
            ("port", "81", 81),
        )
    },
    "pools.NAME.check[].host": (C % "host: h", check("kind", "http", "host"), "h"),
    "pools.NAME.check[].method": (C % "method: HEAD", check("kind", "http", "method"), "HEAD"),
    "pools.NAME.check[].headers": (
        C % "headers: {A: b}",
        check("kind", "http", "headers"),
        {"a": "b"},
    ),
    "pools.NAME.check[].expect.status": (
        C % "expect: {status: [200, 300-302]}",
        check("kind", "http", "expect", "status"),
        [[200, 200], [300, 302]],
    ),
    "pools.NAME.check[].expect.body": (
        C % "expect: {body: up}",
        check("kind", "http", "expect", "body"),
        "up",
    ),
    "pools.NAME.check[].expect.header": (
        C % "expect: {header: {A: b}}",
        check("kind", "http", "expect", "header"),
        {"a": "b"},
    ),
    **{
        f"pools.NAME.passive.{name}": (P % f"passive: {{{name}: {text}}}", pool("passive", name), v)
        for name, text, v in (
            ("fails", "3", 3),
            ("within", "3s", 3000),
            ("out", "3s", 3000),
            ("readmit", "request", "request"),
        )
    },
    "pools.NAME.initial": (P % "initial: down", pool("initial"), "down"),
    "pools.NAME.retry.attempts": (P % "retry: {attempts: 5}", pool("retry", "attempts"), 5),
    "pools.NAME.retry.on": (
        P % "retry: {on: [junk, 503]}",
        pool("retry", "on"),
        ["junk", {"status": 503}],
    ),
    "pools.NAME.keepalive.idle": (P % "keepalive: off", pool("keepalive", "idle"), 0),
    "pools.NAME.keepalive.per_shard": (
        P % "keepalive: {per_shard: 4}",
        pool("keepalive", "per_shard"),
        4,
    ),
    "pools.NAME.keepalive.max_age": (
        P % "keepalive: {max_age: 4s}",
        pool("keepalive", "max_age"),
        4000,
    ),
    **{
        f"pools.NAME.timeouts.{name}": (
            P % f"timeouts: {{{name}: 3s}}",
            pool("timeouts", name),
            3000,
        )
        for name in ("connect", "send", "response", "receive")
    },
    "pools.NAME.tls.verify": (H % "verify: off", pool("tls", "verify"), False),
    "pools.NAME.tls.ca": (H % "ca: /ca", files, ("/ca",)),
    "pools.NAME.tls.server_name": (H % "server_name: s", pool("tls", "server_name"), "s"),
    "pools.NAME.tls.client.cert": (H % "client: {cert: /c}", files, ("/c",)),
    "pools.NAME.tls.client.key": (H % "client: {cert: /c, key: /k}", files, ("/c", "/k")),
    "pools.NAME.tls.min_version": (H % "min_version: 1.3", pool("tls", "min_version"), "1.3"),
}


@pytest.mark.parametrize("leaf", LEAVES)
def test_a_key_has_its_effect(leaf: str) -> None:
    text, find, value = LEAVES[leaf]
    compiled = compile(Config.parse(text, env={}), resolve={}, facts=Facts())
    assert find(compiled) == value


def test_every_leaf_of_the_schema_is_in_the_table_above() -> None:
    # `include` is no part of the tree: tests/unit/config/test_files.py has its effects.
    assert sorted(LEAVES) == sorted({*leaves()} - {"include"})
