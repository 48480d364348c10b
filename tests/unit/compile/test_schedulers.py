"""Every scheduler by its spelling, with each of its parameters, and what the plan then says.

What a parameter of the plan does to picks is proved where picks are made: `crates/evener-balance`
beside each scheduler, and against the real programs in `tests/conformance`.
"""

from __future__ import annotations

from typing import Any

import pytest

from evener.compile import Facts, compile
from evener.config import Config, ConfigError
from evener.config.schema.scheduler import OWN, SPELLINGS

HASH = {
    "consistent": False,
    "function": "sdbm",
    "avalanche": False,
    "balance_factor": 0,
    "key": "id",
    "pass_full": False,
}
SERVICE = {"inactive": 0, "persistence": None}
PLAIN = "10.0.0.1:80"


def plan_of(scheduler: str, more: str = "", protocol: str = "http", servers: str = PLAIN) -> Any:
    """The only pool of the plan."""
    text = (
        f"listeners: {{web: {{bind: ':80', protocol: {protocol}, pool: app}}}}\n"
        f"pools: {{app: {{servers: [{servers}], scheduler: {scheduler}, {more}}}}}"
    )
    return compile(Config.parse(text, env={}), resolve={}, facts=Facts()).plan["pools"][0]


def refusal(scheduler: str, more: str = "", protocol: str = "http", servers: str = PLAIN) -> str:
    with pytest.raises(ConfigError) as caught:
        plan_of(scheduler, more, protocol, servers)
    return str(caught.value)


def least(program: str, name: str) -> str:
    """The shortest way to write a scheduler."""
    needs = {"key": "uri", "param": "user", "header": "x-user", "policy": "mine:Mine"}
    spelling = SPELLINGS[program][name]
    parts = [f"name: {name}", *(f"{need}: {needs[need]}" for need in spelling.needs)]
    if program != OWN:
        parts.append(f"as: {program}")
    return f"{{{', '.join(parts)}}}"


ALL = [(program, name) for program, names in SPELLINGS.items() for name in names]


@pytest.mark.parametrize(("program", "name"), ALL)
def test_each_is_that_of_its_program(program: str, name: str) -> None:
    protocol = SPELLINGS[program][name].speaks or "http"
    made = plan_of(least(program, name), protocol=protocol)
    assert made["scheduler"]["name"] == f"{program}/{name}"


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("round_robin", "nginx/round_robin"),
        ("wlc", "lvs/wlc"),
        ("{name: wlc, as: lvs}", "lvs/wlc"),
        ("leastconn", "haproxy/leastconn"),
        ("static-rr", "haproxy/static-rr"),
        ("random", "evener/random"),
        ("{name: random, as: nginx}", "nginx/random"),
        ("{name: random, as: haproxy}", "haproxy/random"),
        ("{name: hash, key: uri}", "nginx/hash"),
        ("{name: hash, key: uri, as: haproxy}", "haproxy/hash"),
    ],
)
def test_a_bare_spelling_is_the_program_that_spells_so(written: str, name: str) -> None:
    assert plan_of(written)["scheduler"]["name"] == name


def hashed(**others: Any) -> dict[str, Any]:
    return {**HASH, **others}


#: By parameter: how it is written, and what of the plan's scheduler it becomes.
PARAMETERS: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "consistent": [
        ("{name: hash, key: uri, consistent: on}", {"consistent": True}),
        ("{name: source, consistent: on}", {"hash": hashed(consistent=True, avalanche=True)}),
    ],
    "measure": [("{name: least_time, measure: last_byte}", {"measure": "last_byte"})],
    "inflight": [("{name: least_time, inflight: on}", {"inflight": True})],
    "two": [
        ("{name: random, as: nginx}", {"two": None}),
        ("{name: random, as: nginx, two: least_conn}", {"two": "least_conn"}),
        (
            "{name: random, as: nginx, two: least_time=last_byte}",
            {"two": "least_time_last_byte"},
        ),
    ],
    "inactive": [
        ("{name: rr, inactive: 30s}", {"inactive": 30_000}),
        ("{name: lblc, inactive: off}", {"service": SERVICE}),
    ],
    "expire_quiescent": [("{name: wlc, expire_quiescent: off}", SERVICE)],
    "flags": [
        ("{name: sh, flags: [port, fallback]}", {"port": True, "fallback": True}),
        ("{name: mh, flags: fallback}", {"port": False, "fallback": True}),
    ],
    "expiration": [("{name: lblcr, expiration: 1h}", {"expiration": 3_600_000})],
    "function": [
        (
            "{name: source, consistent: on, function: wt6}",
            {"hash": hashed(consistent=True, function="wt6")},
        )
    ],
    "avalanche": [
        ("{name: source, avalanche: on}", {"hash": hashed(avalanche=True)}),
        (
            "{name: source, consistent: on, avalanche: off}",
            {"hash": hashed(consistent=True, avalanche=False)},
        ),
    ],
    "balance_factor": [
        (
            "{name: random, as: haproxy, balance_factor: 150%}",
            {"ring": hashed(balance_factor=150)},
        )
    ],
    "hash_key": [
        ("{name: random, as: haproxy, hash_key: addr-port}", {"ring": hashed(key="addr-port")})
    ],
    "preserve_affinity": [
        (
            "{name: random, as: haproxy, preserve_affinity: maxconn}",
            {"ring": hashed(pass_full=True)},
        )
    ],
    "len": [("{name: uri, len: 4}", {"len": 4}), ("uri", {"len": 0})],
    "depth": [("{name: uri, depth: 2}", {"depth": 2}), ("uri", {"depth": 0})],
    "whole": [("{name: uri, whole: on}", {"whole": True})],
    "path_only": [("{name: uri, path_only: on}", {"path_only": True})],
    "param": [("{name: url_param, param: id}", {"param": "id"})],
    "check_post": [("{name: url_param, param: id, check_post: on}", {"check_post": True})],
    "header": [("{name: hdr, header: X-User}", {"header": "x-user"})],
    "domain_only": [("{name: hdr, header: host, domain_only: on}", {"domain_only": True})],
    "cookie": [("{name: rdp-cookie, cookie: msts}", {"cookie": "msts"})],
    "wait": [("{name: rdp-cookie, wait: 1s}", {"wait": 1000})],
    "draws": [("{name: random, draws: 3}", {"draws": 3})],
    "decay": [("{name: peak_ewma, decay: 5s}", {"decay": 5000})],
    "unknown": [("{name: peak_ewma, unknown: 50ms}", {"unknown": 50})],
    "estimates": [("{name: prequal, estimates: 8}", {"estimates": 8})],
    "probes": [("{name: prequal, probes: 200%}", {"probes": 200})],
    "age": [("{name: prequal, age: 2s}", {"age": 2000})],
    "hot": [("{name: prequal, hot: 90%}", {"hot": 90})],
    "table": [("{name: maglev, table: 65543}", {"table": 65_543})],
    "points": [("{name: ring, points: 40}", {"points": 40})],
    "excess": [("{name: bounded_hash, excess: 10%}", {"excess": 10})],
    "policy": [
        ("{name: python, policy: 'pack.mine:Mine'}", {"policy": "pack.mine:Mine", "timeout": 5}),
        ("{name: python, policy: '/x/y.py:Mine'}", {"policy": "/x/y.py:Mine"}),
    ],
    "timeout": [("{name: python, policy: 'm:M', timeout: 20ms}", {"timeout": 20})],
    "fallback": [
        ("{name: python, policy: 'm:M'}", {"fallback": {"name": "nginx/least_conn"}}),
        (
            "{name: python, policy: 'm:M', fallback: random}",
            {"fallback": {"name": "evener/random", "draws": 2}},
        ),
    ],
}


@pytest.mark.leaf(
    "pools.NAME.scheduler.consistent",
    "pools.NAME.scheduler.measure",
    "pools.NAME.scheduler.inflight",
    "pools.NAME.scheduler.two",
    "pools.NAME.scheduler.inactive",
    "pools.NAME.scheduler.expire_quiescent",
    "pools.NAME.scheduler.flags",
    "pools.NAME.scheduler.expiration",
    "pools.NAME.scheduler.function",
    "pools.NAME.scheduler.avalanche",
    "pools.NAME.scheduler.balance_factor",
    "pools.NAME.scheduler.hash_key",
    "pools.NAME.scheduler.preserve_affinity",
    "pools.NAME.scheduler.len",
    "pools.NAME.scheduler.depth",
    "pools.NAME.scheduler.whole",
    "pools.NAME.scheduler.path_only",
    "pools.NAME.scheduler.param",
    "pools.NAME.scheduler.check_post",
    "pools.NAME.scheduler.header",
    "pools.NAME.scheduler.domain_only",
    "pools.NAME.scheduler.cookie",
    "pools.NAME.scheduler.wait",
    "pools.NAME.scheduler.draws",
    "pools.NAME.scheduler.decay",
    "pools.NAME.scheduler.unknown",
    "pools.NAME.scheduler.estimates",
    "pools.NAME.scheduler.probes",
    "pools.NAME.scheduler.age",
    "pools.NAME.scheduler.hot",
    "pools.NAME.scheduler.table",
    "pools.NAME.scheduler.points",
    "pools.NAME.scheduler.excess",
    "pools.NAME.scheduler.policy",
    "pools.NAME.scheduler.timeout",
    "pools.NAME.scheduler.fallback",
)
@pytest.mark.parametrize("name", PARAMETERS)
def test_a_parameter_reaches_the_plan(name: str) -> None:
    for written, expected in PARAMETERS[name]:
        protocol = "tcp" if "rdp-cookie" in written else "http"
        made = plan_of(written, protocol=protocol)["scheduler"]
        assert {key: made[key] for key in expected} == expected, written


def test_every_parameter_stands_in_the_table_above() -> None:
    taken = {name for names in SPELLINGS.values() for each in names.values() for name in each.takes}
    assert taken - {"key"} == PARAMETERS.keys()


@pytest.mark.leaf("pools.NAME.scheduler.key")
def test_a_key_is_a_word_without_braces_or_a_text_with_words() -> None:
    assert plan_of("{name: maglev, key: header.X-User}")["key"] == "{header.X-User}"
    assert plan_of("{name: ring, key: '{host}{uri}'}")["key"] == "{host}{uri}"
    assert plan_of("ring")["key"] is None
    assert "did you mean `client.ip`?" in refusal("{name: ring, key: client.ipp}")
    assert "the server is what the key decides on" in refusal("{name: ring, key: server}")
    assert "always the same" in refusal("{name: ring, key: '{{'}")


def test_what_a_scheduler_does_not_have_or_needs_is_said() -> None:
    assert "`draws` with `lvs/lc`, expected one of inactive" in refusal("{name: lc, draws: 2}")
    assert "`key` with `nginx/ip_hash`, expected no parameters" in refusal(
        "{name: ip_hash, key: uri}"
    )
    assert "`nginx/hash` without `key`" in refusal("hash")
    assert "`balance_factor` without `consistent: on`" in refusal(
        "{name: source, balance_factor: 150%}"
    )
    assert "found `nginx` with `wlc`, expected `lvs`" in refusal("{name: wlc, as: nginx}")
    assert "expected no `as`: it is ours" in refusal("{name: maglev, as: nginx}")
    assert "`evener/python` without `policy`" in refusal("python")


@pytest.mark.leaf("pools.NAME.scheduler.scope")
def test_each_shard_may_have_a_scheduler_of_its_own() -> None:
    assert plan_of("{name: least_conn, scope: shard}")["scope"] == "shard"
    assert "scope" not in plan_of("{name: maglev, scope: shared}")
    own = "{name: wlc, scope: shard}"
    assert "`max_connections` with `scope: shard`, expected it with one scheduler" in refusal(
        own, servers="{address: '10.0.0.1:80', max_connections: 9}"
    )
    assert "`affinity` with `scope: shard`" in refusal(own, "affinity: {client_ip: 5m}")


def test_where_a_policy_is_is_a_module_or_a_file() -> None:
    for written, said in {
        "mine": "the class stands behind a colon, for example `mine:Mine`",
        "mine:": "the class stands behind a colon",
        "mine.py:Mine": "begin it with `/`: the worker has no directory of its own",
        "/x/mine:Mine": "a file in Python ends in `.py`",
        "mi-ne:Mine": "modules are names with dots between them",
    }.items():
        assert said in refusal(f"{{name: python, policy: '{written}'}}"), written
    over = "{name: python, policy: 'm:M', timeout: 2s}"
    assert "from 1ms to 1s" in refusal(over)
    for spare in ("python", "hash", "uri", "wlc", "leastconn"):
        said = refusal(f"{{name: python, policy: 'm:M', fallback: {spare}}}")
        assert "expected round_robin, least_conn" in said, spare


def test_another_text_of_a_policy_is_another_plan() -> None:
    text = "pools: {app: {servers: '10.0.0.1:80', scheduler: {name: python, policy: 'm:M'}}}"
    facts = Facts(policies={"m:M": "7"})
    made = compile(Config.parse(text, env={}), resolve={}, facts=facts)
    assert made.plan["pools"][0]["scheduler"]["version"] == "7"


def test_spellings_of_guides_are_answered_with_ours() -> None:
    assert "routes: [{header: {NAME: VALUE}, pool: this}]" in refusal("header")
    assert "write `{name: hdr, header: x-user}`" in refusal("hdr(x-user)")
    assert "write `{name: random, as: haproxy, draws: 3}`" in refusal("random(3)")


def test_what_a_listener_cannot_give_is_refused() -> None:
    assert "`haproxy/uri` in a pool of the tcp listener `web`" in refusal("uri", protocol="tcp")
    assert "`header.x` in a pool of the tcp listener `web`, expected words that a session has" in (
        refusal("{name: maglev, key: header.x}", protocol="tcp")
    )
    assert "`haproxy/rdp-cookie` in a pool of the http listener" in refusal("rdp-cookie")
    assert plan_of("{name: maglev, key: client.ip}", protocol="tcp")["key"] == "{client.ip}"


def test_connections_that_ended_count_in_tcp_pools() -> None:
    assert plan_of("wlc", protocol="tcp")["scheduler"]["inactive"] == 120_000
    assert plan_of("wlc", protocol="http")["scheduler"]["inactive"] == 0


@pytest.mark.leaf("pools.NAME.affinity.client_ip.for", "pools.NAME.affinity.client_ip.mask")
def test_persistence_is_ipvsadms() -> None:
    masks = "mask: [255.255.255.0, 'ffff:ffff:ffff:ffff::']"
    made = plan_of(
        "{name: wlc, expire_quiescent: on}", f"affinity: {{client_ip: {{for: 5m, {masks}}}}}"
    )
    assert made["scheduler"]["persistence"] == {
        "timeout": 300_000,
        "prefix_v4": 24,
        "prefix_v6": 64,
        "expire_quiescent": True,
    }
    made = plan_of("{name: sh}", "affinity: {client_ip: 1h}")["scheduler"]["service"]
    assert made["persistence"]["timeout"] == 3_600_000
    assert made["persistence"]["prefix_v4"] == 32
    assert "`affinity` with `nginx/least_conn`" in refusal(
        "least_conn", "affinity: {client_ip: 5m}"
    )
    assert "without `affinity`" in refusal("{name: wlc, expire_quiescent: on}")
    broken = "affinity: {client_ip: {mask: 255.0.255.0}}"
    assert "the ones stand before the zeros" in refusal("wlc", broken)
    twice = "affinity: {client_ip: {mask: [255.0.0.0, 255.255.0.0]}}"
    assert "two masks of one family" in refusal("wlc", twice)


@pytest.mark.leaf(
    "pools.NAME.servers[].max_connections.high", "pools.NAME.servers[].max_connections.low"
)
def test_room_is_a_number_or_two() -> None:
    def limits(scheduler: str, room: str) -> Any:
        server = f"{{address: '10.0.0.1:80', max_connections: {room}}}"
        return plan_of(scheduler, servers=server)["servers"][0].get("limits")

    assert limits("wlc", "100") == {"most": 100, "again": 0, "number": 0}
    assert limits("wlc", "{high: 100, low: 60}") == {"most": 100, "again": 60, "number": 0}
    assert limits("wlc", "unlimited") is None
    server = "{address: '10.0.0.1:80', max_connections: {high: 9, low: 10}}"
    assert "at most `high`, 9" in refusal("wlc", servers=server)
    server = "{address: '10.0.0.1:80', max_connections: {high: 9, low: 5}}"
    assert "`low` with `nginx/round_robin`" in refusal("round_robin", servers=server)


def test_room_is_refused_where_requests_would_wait_for_it() -> None:
    server = "{address: '10.0.0.1:80', max_connections: 9}"
    assert "`max_connections` with `haproxy/source`" in refusal("source", servers=server)
    assert "queues are not built yet" in refusal("{name: uri, consistent: on}", servers=server)
    passes = "{name: source, consistent: on, preserve_affinity: maxconn}"
    assert plan_of(passes, servers=server)["servers"][0]["limits"]["most"] == 9


def test_an_id_that_is_a_number_is_haproxys() -> None:
    servers = "{address: '10.0.0.1:80', id: '3'}, '10.0.0.2:80', '10.0.0.3:80', '10.0.0.4:80'"

    def numbers(scheduler: str) -> list[int]:
        made = plan_of(scheduler, servers=servers)["servers"]
        return [server.get("limits", {}).get("number", 0) for server in made]

    assert numbers("source") == [3, 2, 4, 5]
    assert numbers("round_robin") == [0, 0, 0, 0]


def test_haproxys_weights_end_at_256() -> None:
    server = "{address: '10.0.0.1:80', weight: 257}"
    assert "expected a weight from 0 to 256" in refusal("roundrobin", servers=server)
    assert plan_of("wrr", servers=server)["servers"][0]["weight"] == 257


def test_the_points_of_nginxs_ring_have_an_end() -> None:
    server = "{address: '10.0.0.1:80', weight: 50001}, {address: '10.0.0.2:80', weight: 50000}"
    ring, plain = "{name: hash, key: uri, consistent: on}", "{name: hash, key: uri}"
    assert "expected 100,000 at most (each makes 160 points" in refusal(ring, servers=server)
    assert len(plan_of(plain, servers=server)["servers"]) == 2
    assert len(plan_of(ring, servers=server.replace("50001", "50000"))["servers"]) == 2


def test_a_scheduler_is_written_whole_and_read_again() -> None:
    for program, name in ALL:
        protocol = SPELLINGS[program][name].speaks or "http"
        text = (
            f"listeners: {{web: {{bind: ':80', protocol: {protocol}, pool: app}}}}\n"
            f"pools: {{app: {{servers: ['10.0.0.1:80'], scheduler: {least(program, name)}}}}}"
        )
        config = Config.parse(text, env={})
        again = Config.parse(config.to_yaml(resolved=True), env={})
        first, second = (compile(each, resolve={}, facts=Facts()).plan for each in (config, again))
        assert first == second
