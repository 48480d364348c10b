"""Schedulers in a running instance: shards share one state, full servers take nothing, reloads."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack

import pytest

from .rig.instance import Evener
from .rig.origin import Origin, Talk
from .rig.waiting import eventually
from .rig.wire import Wire

WEIGHTS = {"a": 5, "b": 3, "c": 1}


def configuration(
    evener: Evener, servers: dict[str, Origin], scheduler: str, more: str = ""
) -> str:
    """One pool of these servers, each with its weight."""
    listed = ", ".join(
        f"{{id: {name}, address: '{origin.address}', weight: {WEIGHTS[name]}{more}}}"
        for name, origin in servers.items()
    )
    return (
        f"listeners: {{web: {{bind: '{evener.listen}', pool: app}}}}\n"
        f"pools: {{app: {{scheduler: {scheduler}, servers: [{listed}]}}}}\n"
    )


def named(origins: Callable[..., Origin], *arguments: Callable[[Talk], None]) -> dict[str, Origin]:
    return {name: origins(*arguments, name=name) for name in WEIGHTS}


def answered(wire: Wire, fields: str = "") -> str:
    """Who answers a request."""
    wire.send(f"GET / HTTP/1.1\r\nHost: h\r\n{fields}\r\n")
    answer = wire.answer()
    assert answer.status == 200, answer
    return answer.body.decode().split()[0]


@pytest.mark.parametrize("scheduler", ["round_robin", "wrr", "roundrobin", "static-rr"])
def test_shards_share_one_state(
    evener: Evener, origins: Callable[..., Origin], scheduler: str
) -> None:
    servers = named(origins)
    evener.start(configuration(evener, servers, scheduler), shards=4)
    names: Counter[str] = Counter()
    with ExitStack() as stack:
        # The kernel deals connections out to the shards by their ports.
        wires = [stack.enter_context(Wire(evener.listen)) for _ in range(24)]
        for turn in range(270):
            names[answered(wires[turn % len(wires)])] += 1
    assert all(abs(names[name] - 30 * weight) <= 4 for name, weight in WEIGHTS.items()), names


@pytest.mark.leaf("pools.NAME.servers[].max_connections.high")
def test_servers_that_are_full_take_nothing_and_the_answer_says_so(
    evener: Evener, origins: Callable[..., Origin]
) -> None:
    def holds(talk: Talk) -> None:
        talk.request()
        talk.until_left()

    servers = named(origins, holds)
    evener.start(configuration(evener, servers, "leastconn", ", max_connections: 2"), shards=2)
    with ExitStack() as stack:
        for _ in range(6):
            wire = stack.enter_context(Wire(evener.listen))
            wire.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        eventually(lambda: all(len(each.requests) == 2 for each in servers.values()))
        refused = stack.enter_context(Wire(evener.listen)).ask("/")
        assert refused.status == 503
        evener.until_counts(1, "evener_pool_no_server_total", reason="no_room")


@pytest.mark.leaf("pools.NAME.scheduler.key", "pools.NAME.scheduler.as")
def test_a_key_stays_with_its_server_and_the_log_has_both(
    evener: Evener, origins: Callable[..., Origin]
) -> None:
    servers = named(origins)
    scheduler = "{name: hash, as: haproxy, key: header.x-user, consistent: on}"
    evener.start(configuration(evener, servers, scheduler), shards=2)
    users = [f"user-{at}" for at in range(30)]

    def homes() -> dict[str, str]:
        with Wire(evener.listen) as wire:
            return {user: answered(wire, f"X-User: {user}\r\n") for user in users}

    first = homes()
    assert set(first.values()) == set(servers)
    assert homes() == first
    log = evener.directory / "access.log"
    eventually(lambda: log.exists() and len(log.read_text().splitlines()) == 60)
    for line in map(json.loads, log.read_text().splitlines()):
        assert line["evener.scheduler"] == "haproxy/hash"
        assert line["evener.server"] == first[line["evener.key"]]
    said = evener.tell("why", "app/a")
    assert "Its scheduler haproxy/hash picks by: hash of the key; the key is header.x-user" in said


@pytest.mark.leaf("pools.NAME.scheduler.name")
def test_another_scheduler_takes_over_at_a_reload_and_the_same_one_goes_on(
    evener: Evener, origins: Callable[..., Origin]
) -> None:
    servers = named(origins)
    text = configuration(evener, servers, "round_robin")
    evener.start(text, shards=1)
    with Wire(evener.listen) as wire:
        seen = "".join(answered(wire) for _ in range(9))
        assert Counter(seen) == WEIGHTS
        seen += answered(wire)
        evener.reload(text + "  \n# nothing of the pool\n")
        seen += "".join(answered(wire) for _ in range(8))
        assert seen[9:] == seen[:9]
        evener.reload(configuration(evener, servers, "first"))
        assert {answered(wire) for _ in range(5)} == {"a"}
        evener.reload(configuration(evener, servers, "fo"))
        assert {answered(wire) for _ in range(5)} == {"a"}
        assert evener.show("plan")["pools"][0]["scheduler"]["name"] == "lvs/fo"
