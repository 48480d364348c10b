"""Slow clients hold no server: bodies and answers are taken in, as far as `buffer` says."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest

from .rig.instance import Evener
from .rig.origin import Origin, Talk
from .rig.waiting import eventually
from .rig.wire import Wire


def start(evener: Evener, origin: Origin, pool: str, route: str = "") -> Evener:
    return evener.start(
        f"listeners: {{web: {{bind: '{evener.listen}', routes: [{{pool: app, {route}}}]}}}}\n"
        f"pools: {{app: {{servers: ['{origin.address}'], {pool}}}}}\n",
        shards=1,
    )


def taken_in(evener: Evener, what: str) -> float:
    return evener.metrics().value("evener_pool_taken_in_total", what=what)


BUFFERS = [
    pytest.param(
        "buffer: {request: 1MiB}", "", marks=pytest.mark.leaf("pools.NAME.buffer.request")
    ),
    pytest.param(
        "",
        "buffer: {request: 1MiB}",
        marks=pytest.mark.leaf("listeners.NAME.routes[].buffer.request"),
    ),
]


@pytest.mark.parametrize(("pool", "route"), BUFFERS)
def test_a_slow_upload_holds_no_server(
    evener: Evener, origin: Origin, pool: str, route: str
) -> None:
    start(evener, origin, pool, route)
    body = bytes(range(256)) * 2000
    with Wire(evener.listen) as wire:
        wire.send(f"POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n")
        for at in range(0, len(body) - 1000, 100_000):
            wire.send(body[at : at + 100_000][: len(body) - 1000 - at])
        assert evener.server(f"app/{origin.address}")["in_flight"] == 0
        assert origin.requests == []
        wire.send(body[-1000:])
        assert wire.answer().status == 200
    assert origin.got("/up").body == body
    evener.until_counts(1, "evener_pool_taken_in_total", what="request")


def test_a_longer_upload_passes_once_so_much_is_there_and_hears_100_of_us(
    evener: Evener, origin: Origin
) -> None:
    start(evener, origin, "buffer: {request: 10KiB}")
    body = b"x" * 50_000
    with Wire(evener.listen) as wire:
        wire.send("POST /up HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n")
        wire.send(f"Content-Length: {len(body)}\r\n\r\n")
        assert wire.answer().status == 100
        wire.send(body[:20_000])
        eventually(lambda: evener.server(f"app/{origin.address}")["in_flight"] == 1)
        wire.send(body[20_000:])
        assert wire.final().status == 200
    assert origin.got("/up").body == body
    evener.until_counts(1, "evener_pool_taken_in_total", what="request_too_long")


def large(talk: Talk) -> None:
    """Answers with 20 MB, more than the kernel's buffers take."""
    while talk.some():
        talk.send(b"HTTP/1.1 200 OK\r\nContent-Length: 20000000\r\n\r\n")
        talk.send(b"x" * 20_000_000)


ANSWERS = [
    pytest.param(
        "buffer: {response: 32MiB}", "", True, marks=pytest.mark.leaf("pools.NAME.buffer.response")
    ),
    pytest.param(
        "",
        "buffer: {response: 32MiB}",
        True,
        marks=pytest.mark.leaf("listeners.NAME.routes[].buffer.response"),
    ),
    pytest.param("buffer: {response: 32MiB}", "buffer: {response: off}", False),
]


@pytest.mark.parametrize(("pool", "route", "free"), ANSWERS)
def test_a_slow_download_holds_its_server_only_beyond_buffer(
    evener: Evener, origins: Callable[..., Origin], pool: str, route: str, free: bool
) -> None:
    origin = origins(large)
    start(evener, origin, pool, route)
    with Wire(evener.listen) as wire:
        wire.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        wire.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        if free:
            eventually(lambda: taken_in(evener, "answer") == 1, what="the answer is taken in")
            assert evener.server(f"app/{origin.address}")["in_flight"] == 0
        else:
            eventually(lambda: evener.server(f"app/{origin.address}")["in_flight"] == 1)
        assert wire.answer().body == b"x" * 20_000_000
        assert taken_in(evener, "answer") == free
