"""Early answers, refusals and last answers arrive, whatever the client still sends."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from .rig.certificates import Authority
from .rig.instance import Evener
from .rig.origin import Origin, Talk
from .rig.places import fresh_address
from .rig.waiting import eventually
from .rig.wire import Wire

#: More than sockets hold on both sides, less than is read and dropped.
MUCH = 900_000
POST = "POST {} HTTP/1.1\r\nHost: test.example\r\nContent-Length: {}\r\n\r\n"


@pytest.fixture(params=["tcp", "tls", "unix"])
def door(
    request: pytest.FixtureRequest, evener: Evener, home: Path, authority: Authority
) -> Callable[..., Callable[[], Wire]]:
    """Starts the instance in front of one origin; gives a way in over one kind of socket."""
    address = f"unix:{home}/web.sock" if request.param == "unix" else evener.listen
    tls = authority.client() if request.param == "tls" else None
    shown = f"tls: '{authority.issue('a.example')}'," if tls else ""

    def start(origin: Origin, listener: str = "", pool: str = "") -> Callable[[], Wire]:
        evener.start(
            f"listeners: {{web: {{bind: '{address}', {shown} pool: app, {listener}}},"
            f" other: {{bind: '{fresh_address()}', pool: app}}}}\n"
            f"pools: {{app: {{servers: ['{origin.address}'], {pool}}}}}\n",
            shards=1,
        )
        return lambda: Wire(address, tls, "a.example")

    return start


def push(wire: Wire, count: int) -> None:
    """Sends so many bytes, as far as somebody takes them, before any answer is read."""
    with suppress(OSError):
        for _ in range(0, count, 10_000):
            wire.send(b"x" * 10_000)


def refuses_early(talk: Talk) -> None:
    """Answers a head without reading on, and closes: its kernel resets the connection."""
    talk.note(talk.head())
    talk.answer(b"too much", "413 Content Too Large")


Door = Callable[..., Callable[[], Wire]]


def test_a_servers_early_answer_reaches_a_client_that_still_sends(
    door: Door, origins: Callable[..., Origin]
) -> None:
    enter = door(origins(refuses_early), pool="passive: off")
    for size in (MUCH, 50_000):
        with enter() as wire:
            # It says more than it sends: what there is of it may lie in sockets before the answer.
            wire.send(POST.format("/", 100 * MUCH))
            push(wire, size)
            answer = wire.answer()
            assert (answer.status, answer.body) == (413, b"too much")
            assert answer.value("connection") == "close"
            assert wire.closes()


def test_an_early_answer_over_tls_reaches_the_client_too(
    evener: Evener, origins: Callable[..., Origin], authority: Authority
) -> None:
    tls = authority.server(authority.issue("127.0.0.1"))
    origin = origins(refuses_early, tls=tls, host="127.0.0.1")
    evener.start(
        f"listeners: {{web: {{bind: '{evener.listen}', pool: app}}}}\n"
        f"pools: {{app: {{protocol: https, servers: ['{origin.address}'], passive: off,"
        f" tls: {{ca: '{authority.file}'}}}}}}\n"
    )
    for _ in range(5):
        with Wire(evener.listen) as wire:
            wire.send(POST.format("/", 100 * MUCH))
            push(wire, MUCH)
            assert wire.answer().body == b"too much"
            assert wire.closes()


def test_our_own_refusals_reach_a_client_that_still_sends(door: Door, origin: Origin) -> None:
    enter = door(origin, listener="http: {max_body: 10KiB, max_head: 4KiB}")
    for head, status in [
        (POST.format("/", MUCH), 413),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nX: " + "y" * 5000, 431),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", 400),
        ("POST /.. HTTP/1.1\r\nHost: a\r\nContent-Length: 900000\r\n\r\n", 400),
    ]:
        with enter() as wire:
            wire.send(head)
            push(wire, MUCH)
            answer = wire.answer()
            assert answer.status == status and answer.value("connection") == "close"
            assert wire.closes()
    assert origin.requests == []


def test_what_comes_behind_the_last_request_does_not_destroy_its_answer(
    door: Door, origin: Origin
) -> None:
    enter = door(origin)
    last = "GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    for _ in range(5):
        with enter() as wire:
            wire.send(last + "GET /more HTTP/1.1\r\nHost: a\r\n\r\n" * 2000)
            answer = wire.answer()
            assert answer.body == b"origin /last"
            # A reset would be an error here, and not the end.
            assert wire.rest() == b""
    assert {request.target for request in origin.requests} == {"/last"}


def test_half_a_body_never_leaves_its_server_connection_to_another(
    door: Door, origins: Callable[..., Origin]
) -> None:
    """The rest of the body would be read as the beginning of the next request, or the next request
    as the rest of the body."""

    def behave(talk: Talk) -> None:
        while True:
            head = talk.head()
            if head.method == "GET":
                talk.note(head)
            talk.answer(head.target.encode())

    origin = origins(behave)
    enter = door(origin)
    evil = b"GET /evil HTTP/1.1\r\nHost: a\r\n\r\n"
    for _ in range(5):
        with enter() as wire:
            wire.send(POST.format("/half", 2 * len(evil))).send(evil)
            assert wire.answer().body == b"/half"
            assert wire.closes()
        with enter() as wire:
            assert wire.ask("/whole").body == b"/whole"
    # This careless server may have taken a body for a request; nothing came behind it.
    seen: dict[int, list[str]] = {}
    for request in origin.requests:
        seen.setdefault(request.connection, []).append(request.target)
    assert sum(targets.count("/whole") for targets in seen.values()) == 5
    assert all("/evil" not in targets[:-1] for targets in seen.values()), seen


def test_a_refused_upgrade_leaves_nothing_behind(
    door: Door, origins: Callable[..., Origin]
) -> None:
    origin = origins()
    enter = door(origin)
    upgrade = "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
    early = "GET /early HTTP/1.1\r\nHost: a\r\n\r\n"
    with enter() as wire:
        wire.send(upgrade + early)
        assert wire.answer().body == b"origin /ws"
        assert wire.closes()
    with enter() as wire:
        wire.send(upgrade)
        assert wire.answer().body == b"origin /ws"
        assert wire.ask("/next").body == b"origin /next", "a refusal alone ends nothing"
    eventually(lambda: len(origin.requests) == 3, what="three requests")
    assert [request.target for request in origin.requests] == ["/ws", "/ws", "/next"]
    assert origin.connections == 1, "the server's connection is as good as before"


def test_a_cut_answer_is_no_whole_one_to_a_client_of_1_0(
    evener: Evener, origins: Callable[..., Origin]
) -> None:
    def breaks_off(talk: Talk) -> None:
        target = talk.request().target
        talk.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        if target == "/whole":
            talk.send(b"0\r\n\r\n")

    evener.start(
        f"listeners: {{web: {{bind: '{evener.listen}', pool: app}}}}\n"
        f"pools: {{app: ['{origins(breaks_off).address}']}}\n"
    )
    with Wire(evener.listen) as wire:
        wire.send("GET /whole HTTP/1.0\r\n\r\n")
        assert wire.answer().body == b"hello"
    with Wire(evener.listen) as wire, pytest.raises(ConnectionResetError):
        wire.send("GET /cut HTTP/1.0\r\n\r\n").rest()
