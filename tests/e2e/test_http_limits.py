"""Limits of requests and connections: what is too much is refused, with its status and counter."""

from __future__ import annotations

import time

import pytest

from .rig.instance import Evener
from .rig.origin import Origin
from .rig.processes import program
from .rig.programs import answers
from .rig.waiting import eventually
from .rig.wire import Wire, get


def start(evener: Evener, origin: Origin, listener: str, **settings: object) -> Evener:
    return evener.start(
        f"listeners: {{web: {{bind: '{evener.listen}', pool: app, {listener}}}}}\n"
        f"pools: {{app: ['{origin.address}']}}\n",
        **settings,
    )


def hits(evener: Evener, limit: str) -> float:
    return evener.metrics().value("evener_limit_hits_total", limit=limit)


@pytest.mark.leaf("listeners.NAME.http.max_head")
def test_a_head_beyond_max_head_is_431_and_a_target_alone_is_414(
    evener: Evener, origin: Origin
) -> None:
    start(evener, origin, "http: {max_head: 4KiB}")
    assert get(evener.listen, "/", "X-Fits: " + "a" * 3000).status == 200
    assert get(evener.listen, "/", "X-Large: " + "a" * 5000).status == 431
    assert get(evener.listen, "/" + "a" * 5000).status == 414
    evener.until_counts(2, "evener_limit_hits_total", limit="max_head")


@pytest.mark.leaf("listeners.NAME.http.max_fields")
def test_a_head_with_too_many_fields_is_431(evener: Evener, origin: Origin) -> None:
    start(evener, origin, "http: {max_fields: 10}")
    assert get(evener.listen, "/", *(f"X-{at}: 1" for at in range(8))).status == 200
    assert get(evener.listen, "/", *(f"X-{at}: 1" for at in range(9))).status == 431
    evener.until_counts(1, "evener_limit_hits_total", limit="max_fields")


@pytest.mark.leaf("listeners.NAME.http.max_body")
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_beyond_max_body_is_413(evener: Evener, origin: Origin, chunked: bool) -> None:
    start(evener, origin, "http: {max_body: 10KiB}")
    with Wire(evener.listen) as wire:
        assert wire.ask("/fits", method="POST", body=b"x" * 10240).status == 200
        if chunked:
            wire.send("POST /large HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
            for _ in range(11):
                wire.send(b"400\r\n" + b"x" * 1024 + b"\r\n")
        else:
            wire.send("POST /large HTTP/1.1\r\nHost: a\r\nContent-Length: 10241\r\n\r\n")
        assert wire.answer().status == 413
    evener.until_counts(1, "evener_limit_hits_total", limit="max_body")


@pytest.mark.leaf("listeners.NAME.limits.connections")
def test_a_full_listener_lets_newcomers_wait(evener: Evener, origin: Origin) -> None:
    start(evener, origin, "limits: {connections: 2}", shards=1)
    with Wire(evener.listen) as one, Wire(evener.listen) as two, Wire(evener.listen) as three:
        assert one.ask("/1").status == 200 and two.ask("/2").status == 200
        three.send("GET /3 HTTP/1.1\r\nHost: a\r\n\r\n")
        eventually(lambda: hits(evener, "connections") >= 1, what="the limit is hit")
        assert not [seen for seen in origin.requests if seen.target == "/3"]
        said = "listener web: at its limit of 2 connections, 1 waits in the kernel's queue"
        assert said in evener.problems()
        assert evener.status()["listeners"][0]["waiting"] == 1
        assert evener.metrics().value("evener_listener_waiting_connections", listener="web") == 1
        one.close()
        assert three.answer().status == 200, "it waited in the kernel's queue and was answered"


@pytest.mark.leaf("evener.limits.connections")
def test_a_full_instance_lets_newcomers_wait(evener: Evener, origin: Origin) -> None:
    start(evener, origin, "", shards=1, limits={"connections": 2})
    with Wire(evener.listen) as one, Wire(evener.listen) as two, Wire(evener.listen) as three:
        assert one.ask("/1").status == 200 and two.ask("/2").status == 200
        three.send("GET /3 HTTP/1.1\r\nHost: a\r\n\r\n")
        pauses = ("evener_accept_pauses_total",)
        eventually(lambda: evener.metrics().value(*pauses, cause="connections") >= 1)
        assert evener.metrics().value(*pauses, cause="descriptors") == 0
        full = "the worker: at its limit of 2 connections, 1 waits in the kernel's queue"
        assert full in evener.problems()
        said = "at evener.limits.connections"
        eventually(lambda: said in evener.problems())
        assert "descriptors" not in evener.problems()
        one.close()
        assert three.answer().status == 200
    assert answers(evener.listen)


def test_shards_together_keep_to_a_limit(evener: Evener, origin: Origin) -> None:
    start(evener, origin, "limits: {connections: 5}", shards=4)
    most = 0
    for _ in range(3):
        wires = [Wire(evener.listen) for _ in range(30)]
        for wire in wires:
            wire.send("GET /one HTTP/1.1\r\nHost: a\r\n\r\n")
        until = time.monotonic() + 1
        while time.monotonic() < until:
            most = max(most, int(evener.metrics().value("evener_listener_open_connections")))
        for wire in wires:
            wire.close()
        evener.until_counts(0, "evener_listener_open_connections")
    assert most == 5


def test_running_out_of_descriptors_pauses_and_nothing_breaks(
    evener: Evener, origin: Origin
) -> None:
    evener.wrapper = [program("prlimit"), "--nofile=150:150"]
    start(evener, origin, "", shards=1)
    wires = [Wire(evener.listen) for _ in range(200)]
    for wire in wires:
        wire.send("GET /many HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    statuses = [wire.answer().status for wire in wires]
    for wire in wires:
        wire.close()
    # Who finds no descriptor for a server hears so; it is not the server's fault.
    assert set(statuses) <= {200, 503} and statuses.count(200) >= 50, statuses
    for line in evener.access():
        if line["http.response.status_code"] == 503:
            assert line["error.type"] == "local_limit", line
    assert evener.server(f"app/{origin.address}")["state"] == "up"
    assert evener.status()["worker"]["deaths"] == 0
    evener.until_counts(0, "evener_listener_open_connections")
    assert get(evener.listen).status == 200
