"""Servers leave and come back: by checks, by what live requests see, by a person's word."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

import pytest

from .rig.instance import Evener
from .rig.origin import Origin, Talk, answering
from .rig.places import fresh_address
from .rig.waiting import during, eventually
from .rig.wire import Wire, get


def pool(evener: Evener, servers: str, keys: str = "") -> str:
    """One pool; `servers` and `keys` as they stand in the file."""
    return (
        f"listeners: {{web: {{bind: '{evener.listen}', pool: app}}}}\n"
        f"pools: {{app: {{servers: [{servers}]{', ' if keys else ''}{keys}}}}}\n"
    )


def spread(evener: Evener, count: int) -> Counter[str]:
    """How many of so many requests each server answered."""
    names: Counter[str] = Counter()
    with Wire(evener.listen) as wire:
        for _ in range(count):
            answer = wire.ask("/")
            assert answer.status == 200, answer
            names[answer.body.decode().split()[0]] += 1
    return names


@pytest.mark.leaf(
    "pools.NAME.check[].http",
    "pools.NAME.check[].tcp",
    "pools.NAME.check[].every",
    "pools.NAME.check[].fall",
)
@pytest.mark.parametrize("check", ["tcp", "http: /health"])
def test_a_check_takes_a_server_out_and_brings_it_back(
    evener: Evener, origins: Callable[..., Origin], check: str
) -> None:
    one, two = origins(name="one"), origins(name="two")
    times = "every: 100ms, timeout: 1s, fall: 2, rise: 2"
    keys = f"check: {{{check}, {times}}}, passive: off"
    evener.start(pool(evener, f"'{one.address}', '{two.address}'", keys))
    assert spread(evener, 8) == {"one": 4, "two": 4}
    two.refuse()
    out = evener.until(f"app/{two.address}", "down")
    assert out["check"]["ok"] is False and "refused" in out["reason"]
    assert spread(evener, 8) == {"one": 8}
    two.listen()
    evener.until(f"app/{two.address}", "up")
    assert spread(evener, 8) == {"one": 4, "two": 4}
    checks = evener.metrics()
    assert checks.value("evener_server_checks_total", server=two.address, result="failed") >= 2
    assert checks.value("evener_server_checks_total", server=two.address, result="passed") >= 2


@pytest.mark.leaf(
    "pools.NAME.check[].host", "pools.NAME.check[].method", "pools.NAME.check[].headers"
)
def test_an_http_check_asks_as_it_is_told(evener: Evener, origin: Origin) -> None:
    keys = (
        "check: {http: '/h?x=1', every: 100ms, method: HEAD, host: 'check.example:81',"
        " headers: {x-check: evener}}"
    )
    evener.start(pool(evener, f"'{origin.address}'", keys))
    asked = origin.got("/h?x=1")
    assert asked.method == "HEAD" and asked.value("host") == "check.example:81"
    assert asked.value("x-check") == "evener"


@pytest.mark.leaf(
    "pools.NAME.check[].expect.status",
    "pools.NAME.check[].expect.body",
    "pools.NAME.check[].expect.header",
)
@pytest.mark.parametrize(
    ("expect", "good", "bad", "says"),
    [
        ("status: 204", answering(b"", "204 No Content"), answering(b"ok"), "200"),
        ("body: ready", answering(b"all ready"), answering(b"starting"), "body"),
        ("header: {x-up: '1'}", answering(b"ok", fields=["X-Up: 1"]), answering(b"ok"), "x-up"),
        ("status: 200-399", answering(b"", "302 Found"), answering(b"", "503 No"), "503"),
    ],
)
def test_an_http_check_expects_what_it_is_told(
    evener: Evener,
    origins: Callable[..., Origin],
    expect: str,
    good: Callable[[Talk], None],
    bad: Callable[[Talk], None],
    says: str,
) -> None:
    def judged(behave: Callable[[Talk], None]) -> Callable[[Talk], None]:
        # 204 and its like have no body and no length.
        return behave

    one, two = origins(judged(good), name="one"), origins(judged(bad), name="two")
    keys = f"check: {{http: /h, every: 100ms, expect: {{{expect}}}}}"
    evener.start(pool(evener, f"'{one.address}', '{two.address}'", keys))
    down = evener.until(f"app/{two.address}", "down")
    assert says in down["reason"].lower(), down["reason"]
    assert evener.server(f"app/{one.address}")["check"]["ok"] is True


@pytest.mark.leaf("pools.NAME.check[].port")
def test_a_check_has_its_own_port_and_all_of_a_list_must_pass(
    evener: Evener, origins: Callable[..., Origin]
) -> None:
    server = origins(name="one")
    host, _, _ = server.address.rpartition(":")
    beside = origins(host=host, name="beside")
    keys = f"check: [{{tcp, every: 100ms}}, {{http: /h, every: 100ms, port: {beside.port}}}]"
    evener.start(pool(evener, f"'{server.address}'", keys))
    beside.got("/h")
    beside.refuse()
    evener.until(f"app/{server.address}", "down")
    beside.listen()
    evener.until(f"app/{server.address}", "up")


@pytest.mark.leaf("pools.NAME.check[].timeout")
def test_a_check_that_hangs_times_out(evener: Evener, origins: Callable[..., Origin]) -> None:
    def hangs(talk: Talk) -> None:
        talk.until_left()

    origin = origins(hangs)
    keys = "check: {http: /h, every: 100ms, timeout: 150ms}"
    evener.start(pool(evener, f"'{origin.address}'", keys))
    down = evener.until(f"app/{origin.address}", "down")
    assert "150 ms" in down["reason"] or "time" in down["reason"], down["reason"]


@pytest.mark.leaf("pools.NAME.initial")
def test_initial_down_waits_for_the_first_check(
    evener: Evener, origins: Callable[..., Origin]
) -> None:
    origin = origins(name="one")
    origin.refuse()
    keys = "initial: down, check: {tcp, every: 100ms, rise: 1}"
    evener.start(pool(evener, f"'{origin.address}'", keys))
    assert get(evener.listen).status == 503
    assert evener.server(f"app/{origin.address}")["state"] in ("starting", "down")
    origin.listen()
    evener.until(f"app/{origin.address}", "up")
    assert get(evener.listen).status == 200


@pytest.mark.leaf("pools.NAME.passive.out")
def test_a_refused_request_goes_to_the_next_server_and_the_dead_one_leaves(
    evener: Evener, origins: Callable[..., Origin]
) -> None:
    one, two = origins(name="one"), origins(name="two")
    two.refuse()
    evener.start(pool(evener, f"'{one.address}', '{two.address}'", "passive: {out: 500ms}"))
    assert spread(evener, 6) == {"one": 6}
    out = evener.server(f"app/{two.address}")
    assert out["state"] == "ejected" and "refused" in out["reason"], out
    failures = "evener_server_connect_failures_total"
    evener.until_counts(1, failures, server=two.address, cause="refused")
    evener.until_counts(1, "evener_pool_retries_total", cause="connect")
    evener.until_counts(1, "evener_server_ejections_total", server=two.address)
    two.listen()
    begun = time.monotonic()
    evener.until(f"app/{two.address}", "up")
    assert time.monotonic() - begun < 3.0
    # As in nginx its weight grows back with the picks: the first go elsewhere.
    spread(evener, 4)
    assert spread(evener, 6) == {"one": 3, "two": 3}


def test_a_failure_that_no_other_server_can_make_good_is_no_retry(
    evener: Evener, origins: Callable[..., Origin]
) -> None:
    alone = origins(name="alone")
    alone.refuse()
    evener.start(pool(evener, f"'{alone.address}'"))
    assert get(evener.listen).status == 502
    evener.until_counts(1, "evener_pool_no_server_total", reason="all_tried")
    assert evener.metrics().value("evener_pool_retries_total") == 0


@pytest.mark.leaf("pools.NAME.passive.readmit")
def test_readmit_request_lets_a_live_request_try(
    evener: Evener, origins: Callable[..., Origin]
) -> None:
    one, two = origins(name="one"), origins(name="two")
    two.refuse()
    keys = "passive: {out: 300ms, readmit: request}"
    evener.start(pool(evener, f"'{one.address}', '{two.address}'", keys))
    spread(evener, 4)
    assert evener.server(f"app/{two.address}")["state"] == "ejected"
    two.listen()
    at = two.connections
    eventually(lambda: "two" in spread(evener, 2), what="a request tries it")
    assert two.connections > at


@pytest.mark.leaf("pools.NAME.passive.fails")
def test_passive_counts_failures_within_its_window(
    evener: Evener, origins: Callable[..., Origin]
) -> None:
    def resets(talk: Talk) -> None:
        talk.request()
        talk.reset()

    one, two = origins(name="one"), origins(resets, name="two")
    keys = "passive: {fails: 3, within: 10s, out: 1m}"
    evener.start(pool(evener, f"'{one.address}', '{two.address}'", keys))
    for failures in range(1, 4):
        eventually(lambda n=failures: spread(evener, 1) and _failures(evener, two) >= n)
        state = evener.server(f"app/{two.address}")["state"]
        assert state == ("ejected" if failures == 3 else "up"), failures
    assert spread(evener, 6) == {"one": 6}


def _failures(evener: Evener, origin: Origin) -> float:
    return evener.metrics().value("evener_server_failures_total", server=origin.address)


def test_the_last_eligible_server_is_never_taken_out(evener: Evener, origin: Origin) -> None:
    evener.start(pool(evener, f"'{origin.address}'"))
    origin.refuse()
    for _ in range(3):
        assert get(evener.listen).status == 502
    assert evener.server(f"app/{origin.address}")["state"] == "up"
    origin.listen()
    assert get(evener.listen).status == 200


def test_passive_off_takes_nobody_out(evener: Evener, origins: Callable[..., Origin]) -> None:
    one, two = origins(name="one"), origins(name="two")
    two.refuse()
    evener.start(pool(evener, f"'{one.address}', '{two.address}'", "passive: off"))
    assert spread(evener, 8) == {"one": 8}
    assert evener.server(f"app/{two.address}")["state"] == "up"
    assert _connect_failures(evener, two) == 4


def _connect_failures(evener: Evener, origin: Origin) -> float:
    return evener.metrics().value("evener_server_connect_failures_total", server=origin.address)


@pytest.mark.leaf("pools.NAME.retry.attempts")
def test_retry_is_bounded_by_attempts_and_causes(
    evener: Evener, origins: Callable[..., Origin]
) -> None:
    def resets(talk: Talk) -> None:
        talk.request()
        talk.reset()

    bad = [origins(resets, name=f"bad{number}") for number in range(3)]
    servers = ", ".join(f"'{each.address}'" for each in bad)
    evener.start(pool(evener, servers, "passive: off, retry: {attempts: 2}"))
    assert get(evener.listen).status == 502
    assert sum(len(each.requests) for each in bad) == 2
    evener.reload(pool(evener, servers, "passive: off, retry: {attempts: 3, on: [connect]}"))
    assert get(evener.listen).status == 502
    assert sum(len(each.requests) for each in bad) == 3


@pytest.mark.leaf("pools.NAME.retry.on")
@pytest.mark.parametrize("cause", ["junk", "503", "timeout"])
def test_further_causes_are_retried_when_told(
    evener: Evener, origins: Callable[..., Origin], cause: str
) -> None:
    def bad(talk: Talk) -> None:
        talk.request()
        if cause == "junk":
            talk.send(b"this is no HTTP\r\n\r\n")
        elif cause == "503":
            talk.answer(b"busy", "503 Service Unavailable")
        else:
            talk.until_left()

    one, two = origins(name="one"), origins(bad, name="two")
    keys = f"passive: off, timeouts: {{response: 300ms}}, retry: {{on: ['{cause}']}}"
    evener.start(pool(evener, f"'{one.address}', '{two.address}'", keys))
    assert spread(evener, 4) == {"one": 4}
    assert len(two.requests) == 2


def test_a_post_that_was_sent_is_not_sent_again_unless_told(
    evener: Evener, origins: Callable[..., Origin]
) -> None:
    def resets(talk: Talk) -> None:
        talk.request()
        talk.reset()

    one, two = origins(name="one"), origins(resets, name="two")
    servers = f"'{two.address}', '{one.address}'"
    evener.start(pool(evener, servers, "passive: off"))
    with Wire(evener.listen) as wire:
        statuses = [wire.ask("/", method="POST", body=b"x").status for _ in range(2)]
    assert sorted(statuses) == [200, 502] and len(two.requests) == 1
    on = "retry: {on: [reset, non_idempotent]}"
    evener.reload(pool(evener, servers, f"passive: off, {on}"))
    with Wire(evener.listen) as wire:
        assert [wire.ask("/", method="POST", body=b"x").status for _ in range(4)] == [200] * 4


@pytest.mark.leaf("pools.NAME.servers[].tier")
def test_a_higher_tier_serves_when_none_of_a_lower_is_up(
    evener: Evener, origins: Callable[..., Origin]
) -> None:
    first, second = origins(name="first"), origins(name="second")
    servers = f"'{first.address}', {{address: '{second.address}', tier: 1}}"
    evener.start(pool(evener, servers, "check: {tcp, every: 100ms}"))
    assert spread(evener, 4) == {"first": 4}
    first.refuse()
    evener.until(f"app/{first.address}", "down")
    assert spread(evener, 4) == {"second": 4}
    first.listen()
    evener.until(f"app/{first.address}", "up")
    assert spread(evener, 4) == {"first": 4}


@pytest.mark.leaf("pools.NAME.servers[].weight")
def test_weights_share_the_requests_and_0_takes_nothing(
    evener: Evener, origins: Callable[..., Origin]
) -> None:
    a, b, none = origins(name="a"), origins(name="b"), origins(name="none")
    servers = (
        f"{{address: '{a.address}', weight: 3}}, '{b.address}',"
        f" {{address: '{none.address}', weight: 0}}"
    )
    evener.start(pool(evener, servers))
    assert spread(evener, 40) == {"a": 30, "b": 10}


@pytest.mark.leaf("pools.NAME.scheduler.name")
def test_least_conn_goes_where_less_is_in_hand(
    evener: Evener, origins: Callable[..., Origin]
) -> None:
    def hangs_first(talk: Talk) -> None:
        request = talk.request()
        if request.target == "/hang":
            talk.until_left()
        while True:
            talk.answer(f"{talk.origin.name} {request.target}".encode())
            request = talk.request()

    servers = [origins(hangs_first, name="one"), origins(hangs_first, name="two")]
    addresses = ", ".join(f"'{each.address}'" for each in servers)
    evener.start(pool(evener, addresses, "scheduler: least_conn"), shards=1)
    with Wire(evener.listen) as hanging:
        hanging.send("GET /hang HTTP/1.1\r\nHost: a\r\n\r\n")
        eventually(lambda: sum(len(each.requests) for each in servers) == 1)
        busy, free = servers if servers[0].requests else reversed(servers)
        assert spread(evener, 6) == {free.name: 6}
        eventually(lambda: evener.server(f"app/{busy.address}")["in_flight"] == 1)


def test_drain_and_ready_by_command(evener: Evener, origins: Callable[..., Origin]) -> None:
    one, two = origins(name="one"), origins(name="two")
    evener.start(pool(evener, f"'{one.address}', '{two.address}'"))
    evener.tell("server", "drain", f"app/{two.address}")
    assert spread(evener, 6) == {"one": 6}
    assert evener.server(f"app/{two.address}")["state"] == "draining"
    why = evener.tell("why", f"app/{two.address}")
    assert "draining" in why and f"evener server ready app/{two.address}" in why
    # The word stands over reloads.
    evener.reload(pool(evener, f"'{one.address}', '{two.address}'") + "# again\n")
    assert spread(evener, 6) == {"one": 6}
    evener.tell("server", "ready", f"app/{two.address}")
    assert spread(evener, 6) == {"one": 3, "two": 3}
    unknown = evener.command("server", "drain", "app/nobody", "--run", str(evener.run))
    assert unknown.returncode == 1 and one.address in unknown.stderr


def test_a_drain_waits_for_what_is_in_hand(evener: Evener, origins: Callable[..., Origin]) -> None:
    released: list[bool] = []

    def waits(talk: Talk) -> None:
        talk.request()
        eventually(lambda: released or talk.origin.ending, what="release")
        talk.answer(b"done")

    origin = origins(waits)
    evener.start(pool(evener, f"'{origin.address}'"))
    with Wire(evener.listen) as busy:
        busy.send("GET /busy HTTP/1.1\r\nHost: a\r\n\r\n")
        origin.got("/busy")
        name = f"app/{origin.address}"
        early = evener.command("server", "drain", name, "--wait", "300ms", "--run", str(evener.run))
        assert early.returncode == 1 and "1 in hand" in early.stderr
        released.append(True)
        assert busy.answer().body == b"done"
    evener.tell("server", "drain", name, "--wait", "10s")


@pytest.mark.leaf("pools.NAME.servers[].id", "pools.NAME.servers[].admin")
def test_admin_words_of_the_file_are_obeyed(evener: Evener, origins: Callable[..., Origin]) -> None:
    one, two, three = (origins(name=name) for name in ("one", "two", "three"))
    servers = (
        f"'{one.address}', {{address: '{two.address}', id: second, admin: drain}},"
        f" {{address: '{three.address}', admin: maint}}"
    )
    evener.start(pool(evener, servers, "check: {tcp, every: 100ms}"))
    assert spread(evener, 6) == {"one": 6}
    assert evener.server("app/second")["state"] == "draining"
    assert evener.server(f"app/{three.address}")["state"] == "maintenance"
    eventually(lambda: one.connections and two.connections, what="both others are checked")
    assert three.connections == 0, "a server in maintenance is not checked"


def test_a_name_is_resolved_and_each_address_is_a_server(
    evener: Evener, origins: Callable[..., Origin]
) -> None:
    origin = origins(host="127.0.0.1")
    evener.start(pool(evener, f"'localhost:{origin.port}', 'nowhere.invalid:80'"))
    names = [row["server"] for row in evener.show("servers")]
    assert names == [f"localhost@127.0.0.1:{origin.port}"]
    assert get(evener.listen).status == 200
    assert "nowhere.invalid" in evener.problems()


def test_a_pool_without_a_living_server_answers_soon_and_says_why(
    evener: Evener,
) -> None:
    nobody = fresh_address()
    evener.start(pool(evener, f"'{nobody}'", "check: {tcp, every: 100ms, fall: 1}"))
    evener.until(f"app/{nobody}", "down")
    begun = time.monotonic()
    answer = get(evener.listen)
    assert answer.status == 503 and time.monotonic() - begun < 1.0
    assert "none of its servers takes traffic" in evener.problems()
    evener.until_counts(1, "evener_pool_no_server_total", reason="none_up")
    why = evener.tell("why", f"app/{nobody}")
    assert "is down since" in why and "refused" in why and "passes in a row bring it back" in why


def test_a_server_that_is_added_by_reload_is_checked_at_once_and_one_pass_admits_it(
    evener: Evener, origins: Callable[..., Origin]
) -> None:
    one, two = origins(name="one"), origins(name="two")
    keys = "initial: down, check: {tcp, every: 1m, rise: 5}"
    evener.start(pool(evener, f"'{one.address}'", keys))
    evener.reload(pool(evener, f"'{one.address}', '{two.address}'", keys))
    evener.until(f"app/{two.address}", "up", within=2.0)


def test_a_server_that_is_up_is_left_up(evener: Evener, origin: Origin) -> None:
    """No flapping: a check that passes changes nothing, for as long as one looks."""
    evener.start(pool(evener, f"'{origin.address}'", "check: {tcp, every: 100ms}"))
    eventually(lambda: evener.server(f"app/{origin.address}")["check"], what="a check")
    since = evener.server(f"app/{origin.address}")["changed"]
    during(0.6, lambda: evener.server(f"app/{origin.address}")["changed"] == since, every=0.1)


def test_a_servers_time_is_its_own_and_not_that_of_tries_before(
    evener: Evener, origins: Callable[..., Origin]
) -> None:
    def hangs(talk: Talk) -> None:
        talk.request()
        talk.until_left()

    good, bad = origins(name="good"), origins(hangs, name="bad")
    keys = "passive: off, timeouts: {response: 500ms}, retry: {on: [timeout]}"
    evener.start(pool(evener, f"'{bad.address}', '{good.address}'", keys))
    assert spread(evener, 2) == {"good": 2}
    evener.until_counts(2, "evener_server_response_duration_seconds_count", server=good.address)
    page = evener.metrics()
    assert page.value("evener_server_response_duration_seconds_sum", server=good.address) < 0.3


def test_what_one_shard_finds_all_shards_know(
    evener: Evener, origins: Callable[..., Origin]
) -> None:
    one, two = origins(name="one"), origins(name="two")
    evener.start(pool(evener, f"'{one.address}', '{two.address}'"), shards=4)
    two.refuse()
    with Wire(evener.listen) as first:
        eventually(
            lambda: first.ask("/").status and _connect_failures(evener, two) == 1,
            what="the first failure",
        )
    for _ in range(40):  # newcomers land on all shards
        assert get(evener.listen).body.startswith(b"one")
    assert _connect_failures(evener, two) == 1
