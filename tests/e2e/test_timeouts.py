"""Every wait has a bound: each time-out of the language, with its status and its counter."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from .rig.certificates import Authority
from .rig.instance import Evener
from .rig.origin import Origin, Talk
from .rig.places import fresh_host
from .rig.waiting import eventually, rest
from .rig.wire import Wire, get

SHORT = 0.5
"""Seconds of the time-outs under test: `500ms` in the files."""


def start(evener: Evener, server: str, listener: str = "", pool: str = "") -> Evener:
    return evener.start(
        f"listeners: {{web: {{bind: '{evener.listen}', pool: app, {listener}}}}}\n"
        f"pools: {{app: {{servers: ['{server}'], {pool}}}}}\n"
    )


@contextmanager
def takes_about(seconds: float) -> Iterator[None]:
    """What happens in it lasts at least so long, and not much longer."""
    begun = time.monotonic()
    yield
    took = time.monotonic() - begun
    # Clocks count whole milliseconds; beyond that a time-out may be late, never early.
    assert seconds - 0.01 <= took <= seconds + 2.0, took


def errors(evener: Evener, cause: str) -> float:
    return evener.metrics().value("evener_listener_errors_total", cause=cause)


def hangs(talk: Talk) -> None:
    talk.request()
    talk.until_left()


# Of listeners ------------------------------------------------------------------------------


@pytest.mark.leaf("listeners.NAME.timeouts.tls")
def test_a_tls_handshake_has_its_time(evener: Evener, origin: Origin, authority: Authority) -> None:
    cert = authority.issue("a.example")
    start(evener, origin.address, f"tls: '{cert}', timeouts: {{tls: 500ms}}")
    with Wire(evener.listen) as wire, takes_about(SHORT):
        wire.send(b"\x16\x03\x01")
        assert wire.closes()
    evener.until_counts(1, "evener_tls_handshakes_total", result="timeout")


@pytest.mark.leaf("listeners.NAME.timeouts.head")
def test_a_head_has_its_time_from_its_first_byte(evener: Evener, origin: Origin) -> None:
    start(evener, origin.address, "timeouts: {head: 500ms}")
    with Wire(evener.listen) as wire, takes_about(SHORT):
        wire.send("GET / HTTP/1.1\r\nHost: a\r\n")
        for _ in range(3):  # that more comes does not help: it is the head's time as a whole
            rest(0.1)
            wire.send("X: y\r\n")
        answer = wire.answer()
        assert answer.status == 408 and answer.value("connection") == "close"
    evener.until_counts(1, "evener_listener_errors_total", cause="head_timeout")


@pytest.mark.leaf("listeners.NAME.timeouts.body")
def test_a_body_has_its_time_between_two_pieces(evener: Evener, origin: Origin) -> None:
    start(evener, origin.address, "timeouts: {body: 500ms}")
    with Wire(evener.listen) as wire:
        wire.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nab")
        for _ in range(3):  # an idle time: each piece begins it anew
            rest(0.3)
            wire.send("c")
        with takes_about(SHORT):
            assert wire.answer().status == 408
    evener.until_counts(1, "evener_listener_errors_total", cause="body_timeout")


@pytest.mark.leaf("listeners.NAME.timeouts.send")
def test_a_client_that_takes_nothing_is_cut(evener: Evener, origins: Callable[..., Origin]) -> None:
    def floods(talk: Talk) -> None:
        talk.request()
        talk.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
        for _ in range(1000):
            talk.send(b"x" * 100_000)

    start(evener, origins(floods).address, "timeouts: {send: 500ms}")
    with Wire(evener.listen) as wire:
        wire.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        wire.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        eventually(lambda: errors(evener, "send_timeout") == 1, 10.0, "the client is given up")


@pytest.mark.leaf("listeners.NAME.timeouts.idle")
def test_an_idle_connection_is_closed_without_a_word(evener: Evener, origin: Origin) -> None:
    start(evener, origin.address, "timeouts: {idle: 2s}")
    with Wire(evener.listen) as wire:
        assert wire.ask("/").status == 200
        with takes_about(2.0):
            assert wire.closes()
    with Wire(evener.listen) as fresh, takes_about(2.0):
        assert fresh.closes(), "also before its first request"


def test_a_parked_connection_answers_again(evener: Evener, origin: Origin) -> None:
    start(evener, origin.address)
    with Wire(evener.listen) as wire:
        for _ in range(2):
            assert wire.ask("/").status == 200
            eventually(lambda: evener.metrics().value("evener_parked_connections") == 1)
        assert wire.ask("/last").body == b"origin /last"


@pytest.mark.leaf("listeners.NAME.timeouts.tunnel.idle")
def test_an_upgraded_connection_has_its_idle_time(
    evener: Evener, origins: Callable[..., Origin]
) -> None:
    start(evener, origins(upgrades).address, "timeouts: {tunnel: 500ms}")
    with Wire(evener.listen) as wire:
        upgrade(wire)
        for _ in range(3):
            rest(0.3)
            wire.send(b"ping")
            assert wire.take(4) == b"ping"
        with takes_about(SHORT):
            assert wire.closes()
    evener.until_counts(1, "evener_listener_errors_total", cause="tunnel_idle")


@pytest.mark.leaf("listeners.NAME.timeouts.tunnel.max")
def test_an_upgraded_connection_may_have_an_end(
    evener: Evener, origins: Callable[..., Origin]
) -> None:
    start(evener, origins(upgrades).address, "timeouts: {tunnel: {max: 1s}}")
    with Wire(evener.listen) as wire:
        begun = time.monotonic()
        upgrade(wire)

        def closed() -> bool:
            try:
                wire.send(b"ping")
                return wire.take(4) != b"ping"
            except (AssertionError, OSError):
                return True

        eventually(closed, 5.0, "the tunnel ends")
        assert 0.99 <= time.monotonic() - begun <= 3.0
    evener.until_counts(1, "evener_limit_hits_total", limit="tunnel_max")


def upgrades(talk: Talk) -> None:
    talk.head()
    talk.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: upgrade\r\n\r\n")
    while piece := talk.some():
        talk.send(piece)


def upgrade(wire: Wire) -> None:
    wire.send("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: echo\r\nConnection: upgrade\r\n\r\n")
    assert wire.answer().status == 101


@pytest.mark.leaf("listeners.NAME.timeouts.min_rate")
def test_a_body_that_drips_is_cut_by_min_rate(evener: Evener, origin: Origin) -> None:
    """`min_rate` counts after ten seconds: this test lasts about as long."""
    start(evener, origin.address, "timeouts: {min_rate: 500B/s}")
    with Wire(evener.listen) as wire:
        wire.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n")
        begun = time.monotonic()

        def refused() -> bool:
            wire.send("x")
            return evener.metrics().value("evener_limit_hits_total", limit="min_rate") == 1

        eventually(refused, 20.0, "the limit is hit", every=0.2)
        assert time.monotonic() - begun >= 9.9
        assert wire.answer().status == 408


def test_min_rate_counts_only_waits_for_the_client(
    evener: Evener, origins: Callable[..., Origin]
) -> None:
    """A server that takes eleven seconds to answer is not the client's fault."""

    def slow(talk: Talk) -> None:
        talk.request()
        begun = time.monotonic()
        eventually(lambda: time.monotonic() - begun > 11, 15.0)
        talk.answer(b"at last")

    start(evener, origins(slow).address, "timeouts: {min_rate: 500B/s}")
    with Wire(evener.listen) as wire:
        wire.sock.settimeout(15)
        assert wire.ask("/").body == b"at last"


# Of pools ----------------------------------------------------------------------------------


@contextmanager
def full_queue() -> Iterator[str]:
    """An address whose queue of connections is full, so that further ones are not answered."""
    host = fresh_host()
    with socket.socket() as listener:
        listener.bind((host, 0))
        listener.listen(0)
        filling = []
        for _ in range(4):
            sock = socket.socket()
            sock.setblocking(False)
            sock.connect_ex(listener.getsockname())
            filling.append(sock)
        try:
            yield f"{host}:{listener.getsockname()[1]}"
        finally:
            for sock in filling:
                sock.close()


@pytest.mark.leaf("pools.NAME.timeouts.connect")
def test_a_connection_to_a_server_has_its_time(evener: Evener) -> None:
    with full_queue() as address:
        start(evener, address, pool="timeouts: {connect: 500ms}")
        with takes_about(SHORT):
            assert get(evener.listen).status == 504
    evener.until_counts(1, "evener_server_connect_failures_total", cause="timeout")


def test_a_tls_handshake_with_a_server_is_part_of_the_connection(
    evener: Evener, origins: Callable[..., Origin]
) -> None:
    def silent(talk: Talk) -> None:
        talk.until_left()

    start(evener, origins(silent).address, pool="protocol: https, timeouts: {connect: 500ms}")
    with takes_about(SHORT):
        assert get(evener.listen).status in (502, 504)


@pytest.mark.leaf("pools.NAME.timeouts.response")
def test_an_answer_has_its_time(evener: Evener, origins: Callable[..., Origin]) -> None:
    origin = origins(hangs)
    start(evener, origin.address, pool="timeouts: {response: 500ms}")
    with takes_about(SHORT):
        assert get(evener.listen).status == 504
    evener.until_counts(1, "evener_server_failures_total", cause="response_timeout")
    eventually(lambda: origin.open == 0, what="the server's connection is closed")


@pytest.mark.leaf("pools.NAME.timeouts.receive")
def test_an_answer_that_stalls_is_cut(evener: Evener, origins: Callable[..., Origin]) -> None:
    def stalls(talk: Talk) -> None:
        talk.request()
        talk.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        talk.until_left()

    start(evener, origins(stalls).address, pool="timeouts: {receive: 500ms}")
    with Wire(evener.listen) as wire:
        wire.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        wire.until(b"half")
        with takes_about(SHORT):
            assert wire.closes()
    evener.until_counts(1, "evener_server_failures_total", cause="stalled")
    line = evener.until_logged(lambda line: True)
    assert line["error.type"] == "answer_stalled"


@pytest.mark.leaf("pools.NAME.timeouts.send")
def test_a_server_that_takes_nothing_is_given_up(
    evener: Evener, origins: Callable[..., Origin]
) -> None:
    def takes_nothing(talk: Talk) -> None:
        talk.head()
        eventually(lambda: talk.origin.ending, 20.0)

    start(evener, origins(takes_nothing).address, pool="timeouts: {send: 500ms}")
    with Wire(evener.listen) as wire:
        wire.sock.settimeout(1.0)
        wire.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n")
        try:
            for _ in range(1000):
                wire.send(b"x" * 100_000)
        except (TimeoutError, OSError):
            pass
        wire.sock.settimeout(10.0)
        assert wire.answer().status == 504
    evener.until_counts(1, "evener_server_failures_total", cause="send_timeout")
