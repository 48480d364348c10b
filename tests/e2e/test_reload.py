"""A reload is seen within a second, costs no answer, and a bad one changes nothing."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from .rig.checking import CheckingClient
from .rig.instance import Evener
from .rig.origin import Origin, Talk
from .rig.places import fresh_address
from .rig.programs import Webs, Wrk, answers
from .rig.waiting import eventually
from .rig.wire import Wire, get

SEEN = 1.0
"""Seconds within which a reload must be seen (the issue, §3)."""


def web(evener: Evener, *servers: str, bind: str = "") -> str:
    more = f", more: {{bind: '{bind}', pool: app}}" if bind else ""
    return (
        f"listeners: {{web: {{bind: '{evener.listen}', pool: app}}{more}}}\n"
        f"pools: {{app: [{', '.join(repr(each) for each in servers)}]}}\n"
    )


def test_reloads_under_load_are_seen_and_cost_no_answer(
    evener: Evener,
    webs: Callable[..., Webs],
    home: Path,
    record_property: Callable[[str, object], None],
) -> None:
    """Ten reloads that take a server in and out, beside wrk and pipelining connections."""
    nginx = webs("a", "b", "c")
    one, two = web(evener, nginx["a"], nginx["b"]), web(evener, nginx["b"], nginx["c"])
    evener.start(one)
    wrk = Wrk(home, evener.listen, seconds=8)
    removed: list[tuple[str, float, float]] = []
    seen: list[float] = []
    with (
        CheckingClient(evener.listen, connections=6) as plain,
        CheckingClient(evener.listen, connections=2, pipeline=8) as pipelining,
        CheckingClient(evener.listen, connections=2, per_connection=1) as short,
    ):
        eventually(lambda: {"a", "b"} <= plain.account.servers.keys(), what="both servers answer")
        for turn in range(10):
            text, new, old = (two, "c", "a") if turn % 2 == 0 else (one, "a", "c")
            evener.write(text)
            before = plain.account.servers[new]
            began = time.monotonic()
            evener.ask("/v1/reload", "POST")
            eventually(
                lambda new=new, before=before: plain.account.servers[new] > before,
                SEEN - (time.monotonic() - began),
                f"reload {turn}: {new} answers",
            )
            seen.append(time.monotonic() - began)
            # What was on its way when the reload ended may still arrive; nothing after that.
            since = time.time() + 0.2
            eventually(lambda since=since: time.time() > since + 0.2, what="a while of load")
            removed.append((old, since, time.time()))
        accounts = [client.stop() for client in (plain, pipelining, short)]
    for account in accounts:
        assert not account.anomalies, account.anomalies
        assert account.answered > 50
    report = wrk.report()
    assert report["requests"] > 1000
    assert not any(report[kind] for kind in ("status", "connect", "read", "write", "timeout"))
    told = f"seen within {1000 * max(seen):.0f} ms, {report['requests']} answers, none wrong"
    record_property("figure", told)
    eventually(lambda: nginx.log("b"), what="nginx has written its log")
    for old, since, until in removed:
        late = [when for when, _ in nginx.log(old) if since <= when < until]
        assert not late, f"{old} was removed and got {len(late)} requests"


def test_a_bad_file_leaves_the_old_plan_and_status_says_so(evener: Evener, origin: Origin) -> None:
    evener.start(web(evener, origin.address))
    evener.write("listeners: {web: {bind: ':80', poool: app}}\n")
    refused = evener.command("reload", "--run", str(evener.run))
    assert refused.returncode == 1 and f"{evener.file}:2:" in refused.stderr
    assert get(evener.listen, "/still").status == 200
    assert "file and served plan differ" in evener.problems()
    assert evener.status()["plan"]["generation"] == 1
    evener.until_counts(1, "evener_plan_reloads_total", result="failed")
    evener.reload(web(evener, origin.address))
    assert "differ" not in evener.problems()


@pytest.mark.parametrize("key", ["shards", "run", "admin"])
def test_a_key_that_a_running_instance_cannot_change_is_refused(
    evener: Evener, origin: Origin, key: str, home: Path
) -> None:
    text = web(evener, origin.address)
    evener.start(text)
    other: dict[str, object] = {
        "shards": 1,
        "run": str(home / "other"),
        "admin": {"bind": f"unix:{home}/other.sock"},
    }
    evener.write(text, **{key: other[key]})
    refused = evener.command("reload", "--run", str(evener.run))
    assert refused.returncode == 1
    assert f"{evener.file}:" in refused.stderr and f"evener.{key}" in refused.stderr
    assert "stop and start the instance" in refused.stderr
    assert get(evener.listen).status == 200


def test_a_listener_comes_and_goes_by_reload(evener: Evener, origin: Origin) -> None:
    other = fresh_address()
    evener.start(web(evener, origin.address))
    assert not answers(other)
    evener.reload(web(evener, origin.address, bind=other))
    with Wire(other) as kept:
        assert kept.ask("/new").status == 200
        evener.reload(web(evener, origin.address))
        assert not answers(other)
        # Its connections drain: the next answer is the last.
        answer = kept.ask("/last")
        assert answer.status == 200 and answer.value("connection") == "close"
        assert kept.closes()
    assert get(evener.listen).status == 200


def test_an_address_becomes_part_of_a_wider_one_and_back_and_nobody_is_refused(
    evener: Evener, origin: Origin
) -> None:
    wide = f":{evener.listen.rpartition(':')[2]}"
    text = web(evener, origin.address)
    texts = [text.replace(evener.listen, wide), text]
    evener.start(text)
    with CheckingClient(evener.listen, connections=8, per_connection=1) as client:
        for turn in range(6):
            at = client.account.answered
            eventually(lambda at=at: client.account.answered > at + 100, what="load")
            evener.reload(texts[turn % 2])
            assert answers(f"127.0.0.1{wide}") == (turn % 2 == 0)
        account = client.stop()
    assert not account.anomalies, account.anomalies


def test_an_address_may_be_listened_on_beside_a_wider_one(
    evener: Evener, origins: Callable[..., Origin]
) -> None:
    one, every = origins(name="one"), origins(name="every")
    port = evener.listen.rpartition(":")[2]
    evener.start(
        f"listeners:\n  every: {{bind: ':{port}', pool: every}}\n"
        f"  one: {{bind: '{evener.listen}', pool: one}}\n"
        f"pools: {{every: ['{every.address}'], one: ['{one.address}']}}\n"
    )
    for _ in range(5):
        assert get(evener.listen).body.startswith(b"one")
        assert get(f"127.0.0.1:{port}").body.startswith(b"every")


def test_an_address_that_is_taken_fails_the_reload_and_names_the_holder(
    evener: Evener, origin: Origin
) -> None:
    evener.start(web(evener, origin.address))
    evener.write(web(evener, origin.address, bind=origin.address))
    refused = evener.command("reload", "--run", str(evener.run))
    assert refused.returncode == 1 and origin.address in refused.stderr
    assert get(evener.listen).status == 200
    assert evener.status()["plan"]["generation"] == 1


def test_hup_reloads(evener: Evener, origins: Callable[..., Origin]) -> None:
    first, second = origins(name="first"), origins(name="second")
    evener.start(web(evener, first.address))
    evener.write(web(evener, second.address))
    evener.signal(signal.SIGHUP)
    eventually(lambda: get(evener.listen).body.startswith(b"second"), SEEN, "the new server")


def test_kept_connections_survive_a_reload_on_both_sides(evener: Evener, origin: Origin) -> None:
    text = web(evener, origin.address)
    evener.start(text, shards=1)
    with Wire(evener.listen) as kept:
        assert kept.ask("/1").status == 200
        evener.reload(text + "  # nothing of substance\n")
        assert kept.ask("/2").status == 200
    one, two = origin.got("/1"), origin.got("/2")
    assert one.connection == two.connection, "the idle server connection was kept, too"


def test_a_request_in_hand_ends_by_the_plan_it_began_with(
    evener: Evener, origins: Callable[..., Origin]
) -> None:
    def slow(talk: Talk) -> None:
        request = talk.request()
        eventually(lambda: "go" in talk.origin.name, what="the test says go")
        talk.answer(f"slow {request.target}".encode())

    old, new = origins(slow, name="wait"), origins(name="new")
    evener.start(web(evener, old.address))
    with Wire(evener.listen) as wire:
        wire.send("GET /long HTTP/1.1\r\nHost: a\r\n\r\n")
        old.got("/long")
        evener.reload(web(evener, new.address))
        assert get(evener.listen, "/x").body == b"new /x"
        old.name = "go"
        assert wire.answer().body == b"slow /long"
        assert wire.ask("/y").body == b"new /y"


def test_counters_and_health_go_on_over_a_reload(
    evener: Evener, origins: Callable[..., Origin]
) -> None:
    good, bad = origins(name="good"), origins(name="bad")
    evener.start(web(evener, good.address, bad.address))
    bad.refuse()
    for _ in range(4):
        assert get(evener.listen).status == 200
    evener.until(f"app/{bad.address}", "ejected")
    before = evener.metrics()
    evener.reload(web(evener, good.address, bad.address) + "# changed\n")
    assert evener.server(f"app/{bad.address}")["state"] == "ejected"
    get(evener.listen)
    after = evener.metrics()
    served = "evener_server_requests_total"
    assert after.value(served, server=good.address) == before.value(served, server=good.address) + 1
    for name, labels in (("evener_requests_total", {"code": "200"}),):
        assert after.value(name, **labels) == before.value(name, **labels) + 1


@pytest.mark.leaf("include")
def test_include_and_environment_are_read_again(
    evener: Evener, origins: Callable[..., Origin], home: Path
) -> None:
    first, second = origins(name="first"), origins(name="second")
    (home / "conf.d").mkdir()
    piece = home / "conf.d" / "pool.yaml"
    piece.write_text(f"pools: {{app: ['{first.address}']}}\n")
    evener.start(
        f"include: conf.d/*.yaml\nlisteners: {{web: {{bind: '{evener.listen}', pool: app}}}}\n"
    )
    assert get(evener.listen).body.startswith(b"first")
    piece.write_text(f"pools: {{app: ['{second.address}']}}\n")
    evener.reload()
    assert get(evener.listen).body.startswith(b"second")


def test_parked_connections_of_a_removed_listener_are_closed(
    evener: Evener, origin: Origin
) -> None:
    other = fresh_address()
    evener.start(web(evener, origin.address, bind=other))
    with Wire(other) as parked, Wire(evener.listen) as stays:
        assert parked.ask("/").status == 200 and stays.ask("/").status == 200
        evener.until_counts(2, "evener_parked_connections")
        evener.reload(web(evener, origin.address))
        assert parked.closes(3.0)
        assert stays.ask("/again").status == 200


def test_who_waits_in_the_queue_of_a_removed_listener_is_answered(
    evener: Evener, origin: Origin
) -> None:
    """The worker's last act at the socket is to accept all that waits in it."""
    other = fresh_address()
    evener.start(web(evener, origin.address, bind=other), shards=1)
    os.kill(evener.worker, signal.SIGSTOP)
    wires = [Wire(other) for _ in range(5)]
    for wire in wires:
        wire.send("GET /waits HTTP/1.1\r\nHost: a\r\n\r\n")
    evener.write(web(evener, origin.address))
    evener.signal(signal.SIGHUP)
    eventually(lambda: evener.own().alive(), what="HUP is on its way")
    os.kill(evener.worker, signal.SIGCONT)
    for wire in wires:
        assert wire.answer().body == b"origin /waits"
        wire.close()
    eventually(lambda: not answers(other), what="the listener is gone")


def test_sums_do_not_fall_when_routes_go(evener: Evener, origin: Origin) -> None:
    def routes(*paths: str) -> str:
        rules = ", ".join(f"{{path: {path}, pool: app}}" for path in paths)
        return (
            f"listeners: {{web: {{bind: '{evener.listen}', pool: app, routes: [{rules}]}}}}\n"
            f"pools: {{app: ['{origin.address}']}}\n"
        )

    def sums() -> tuple[float, float, float]:
        page = evener.metrics()
        (listener,) = evener.status()["listeners"]
        return (
            page.value("evener_listener_requests_total", listener="web"),
            page.value("evener_request_duration_seconds_count", listener="web", pool="app"),
            listener["requests"],
        )

    evener.start(routes("/a", "/b"))
    for path in ("/a", "/b", "/c"):
        get(evener.listen, path)
    eventually(lambda: sums() == (3, 3, 3), what="three requests")
    for number in range(5):
        evener.reload(routes(f"/{number}"))
        get(evener.listen, f"/{number}")
        eventually(lambda more=(4 + number,) * 3: sums() == more, what="one more")


def test_a_storm_of_reloads_costs_no_answer(evener: Evener, webs: Callable[..., Webs]) -> None:
    nginx = webs("a", "b")
    evener.start(web(evener, nginx["a"]))
    with (
        CheckingClient(evener.listen, connections=4, pipeline=4) as client,
        CheckingClient(evener.listen, connections=4, per_connection=1) as short,
    ):
        eventually(lambda: client.account.answered > 50, what="load")
        for turn in range(60):
            evener.write(web(evener, nginx["ab"[turn % 2]]))
            evener.ask("/v1/reload", "POST")
            evener.signal(signal.SIGHUP)
        accounts = [client.stop(), short.stop()]
    for account in accounts:
        assert not account.anomalies, account.anomalies
    assert evener.status()["plan"]["generation"] >= 61
    assert evener.status()["worker"]["deaths"] == 0


def test_a_reload_that_replaces_all_servers_of_a_checked_pool_refuses_nobody(
    evener: Evener, webs: Callable[..., Webs]
) -> None:
    nginx = webs("a", "b")

    def only(name: str) -> str:
        return (
            f"listeners: {{web: {{bind: '{evener.listen}', pool: app}}}}\n"
            f"pools: {{app: {{servers: ['{nginx[name]}'], check: {{tcp, every: 60s}}}}}}\n"
        )

    evener.start(only("a"))
    with (
        CheckingClient(evener.listen, connections=4, pipeline=4) as client,
        CheckingClient(evener.listen, connections=2, per_connection=1) as short,
    ):
        eventually(lambda: client.account.answered > 50, what="load")
        for turn in range(20):
            before = client.account.answered
            evener.write(only("ba"[turn % 2]))
            evener.ask("/v1/reload", "POST")
            eventually(lambda before=before: client.account.answered > before + 20, what="load")
        accounts = [client.stop(), short.stop()]
    for account in accounts:
        assert not account.anomalies, account.anomalies
