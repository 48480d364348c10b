"""Schedulers in a running instance: shards share one state, full servers take nothing, reloads."""

from __future__ import annotations

import json
import os
import signal
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


@pytest.mark.parametrize(
    ("scheduler", "shares"),
    [("round_robin", (5, 3, 7)), ("wrr", (5, 3, 7)), ("roundrobin", (5, 3, 7)), ("rr", (1, 1, 1))],
)
def test_a_weight_said_by_command_counts_by_the_schedulers_rule(
    evener: Evener, origins: Callable[..., Origin], scheduler: str, shares: tuple[int, ...]
) -> None:
    servers = named(origins)
    evener.start(configuration(evener, servers, scheduler), shards=2)
    with Wire(evener.listen) as wire:
        before = [answered(wire) for _ in range(4)]
        assert evener.tell("server", "weight", "app/c", "7") == ""
        turns = 4 * sum(shares)
        names = Counter(answered(wire) for _ in range(turns))
        expected = dict(zip(WEIGHTS, (4 * share for share in shares), strict=True))
        # Whose turn it was before is kept: a turn or two may have been had already.
        assert all(abs(names[name] - expected[name]) <= 4 for name in WEIGHTS), (before, names)
        told = json.loads(evener.tell("server", "weight", "app/a", "0", "--json"))
        assert (told["server"], told["weight"]) == ("a", 0)
        assert "a" not in {answered(wire) for _ in range(20)}


@pytest.mark.leaf("pools.NAME.servers[].weight")
def test_a_weight_said_by_command_stands_until_the_file_says_another(
    evener: Evener, origins: Callable[..., Origin]
) -> None:
    servers = named(origins)
    text = configuration(evener, servers, "roundrobin")
    evener.start(text, shards=1)
    evener.tell("server", "weight", "app/a", "0")

    def serving() -> set[str]:
        with Wire(evener.listen) as wire:
            return {answered(wire) for _ in range(20)}

    assert serving() == {"b", "c"}
    said = evener.tell("why", "app/a")
    assert "Its weight is 0: it takes nothing new." in said
    assert "Its weight 0 is a person's word, until the file says something else than 5." in said
    os.kill(evener.worker, signal.SIGKILL)
    eventually(lambda: evener.status()["worker"]["deaths"] == 1 and evener.worker)
    assert serving() == {"b", "c"}
    evener.reload(text + "# nothing of the pool\n")
    assert serving() == {"b", "c"} and evener.server("app/a")["weight"] == 0
    assert evener.stop() == 0
    evener.start()
    assert serving() == {"b", "c"}, "a restart of everything"
    evener.reload(text.replace("weight: 5", "weight: 2"))
    assert serving() == {"a", "b", "c"} and evener.server("app/a")["weight"] == 2


def test_a_weight_that_a_scheduler_cannot_take_is_refused_with_words(
    evener: Evener, origins: Callable[..., Origin]
) -> None:
    servers = named(origins)
    evener.start(configuration(evener, servers, "static-rr"), shards=1)

    def refused(*arguments: str) -> str:
        done = evener.command("server", "weight", *arguments, "--run", str(evener.run))
        assert done.returncode != 0
        return done.stderr

    assert "haproxy/static-rr is static" in refused("app/a", "7")
    assert "0 and 5, the file's, only" in refused("app/a", "7") and "reload" in refused(
        "app/a", "7"
    )
    assert "from 0 to 256" in refused("app/a", "300")
    assert "there is no server app/nobody" in refused("app/nobody", "1")
    assert "range" in refused("app/a", "70000")
    evener.tell("server", "weight", "app/a", "0")
    with Wire(evener.listen) as wire:
        assert "a" not in {answered(wire) for _ in range(12)}
        evener.tell("server", "weight", "app/a", "5")
        assert "a" in {answered(wire) for _ in range(12)}
    with pytest.raises(Exception, match="one thing"):
        evener.ask("/v1/servers/app/a", "PUT", {"weight": 1, "admin": "ready"})
    with pytest.raises(Exception, match="a whole number"):
        evener.ask("/v1/servers/app/a", "PUT", {"weight": "5"})


@pytest.mark.leaf("pools.NAME.scheduler.scope")
def test_each_shard_goes_round_by_itself_where_the_scope_is_a_shard(
    evener: Evener, origins: Callable[..., Origin]
) -> None:
    servers = named(origins)
    evener.start(configuration(evener, servers, "{name: rr, scope: shard}"), shards=4)
    with ExitStack() as stack:
        wires = [stack.enter_context(Wire(evener.listen)) for _ in range(24)]
        # One scheduler would give every third request the same server. Of 24 connections some are
        # on one shard and most are not: whoever is first on its shard begins with the same server.
        first = [answered(wire) for wire in wires]
        in_turn = "".join(first)
        assert in_turn != (in_turn[:3] * 8), "that would be one turn for all"
        names = Counter(first)
        for _ in range(2):
            names += Counter(answered(wire) for wire in wires)
        assert all(abs(names[name] - 24) <= 4 for name in WEIGHTS), names
    evener.reload(configuration(evener, servers, "rr"))
    with ExitStack() as stack:
        wires = [stack.enter_context(Wire(evener.listen)) for _ in range(24)]
        in_turn = "".join(answered(wire) for wire in wires)
        assert in_turn == in_turn[:3] * 8, in_turn
