"""An upgrade becomes a tunnel: bytes both ways, from the first on, until either side ends."""

from __future__ import annotations

import base64
import hashlib
import os
import struct
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from .rig.instance import Evener
from .rig.origin import Origin, Talk
from .rig.programs import Haproxy, Uvicorn
from .rig.waiting import eventually
from .rig.wire import Wire, get


def start(evener: Evener, server: str) -> Evener:
    return evener.start(
        f"listeners: {{web: {{bind: '{evener.listen}', pool: app}}}}\n"
        f"pools: {{app: ['{server}']}}\n"
    )


QUESTION = "GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: echo/1\r\nConnection: Upgrade\r\nX-A: b\r\n\r\n"
ANSWER = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo/1\r\nConnection: Upgrade\r\n\r\n"


def test_a_tunnel_carries_bytes_both_ways_and_its_first_ones_too(
    evener: Evener, origins: Callable[..., Origin]
) -> None:
    def behave(talk: Talk) -> None:
        head = talk.head()
        talk.note(head)
        talk.send(ANSWER + b"hello")
        while piece := talk.some():
            talk.send(piece.upper())

    origin = origins(behave)
    start(evener, origin.address)
    with Wire(evener.listen) as wire:
        answer = wire.send(QUESTION).answer()
        assert answer.status == 101 and answer.value("upgrade") == "echo/1"
        assert wire.take(5) == b"hello"
        for _ in range(20):
            wire.send(b"abc\0\r\n\r\n")
            assert wire.take(8) == b"ABC\0\r\n\r\n"
        evener.until_counts(1, "evener_open_tunnels")
        evener.until_counts(1, "evener_tunnels_total")
        wire.half_close()
        assert wire.rest() == b""
    got = origin.got("/ws")
    assert got.value("upgrade") == "echo/1" and got.value("x-a") == "b"
    assert (got.value("connection") or "").lower() == "upgrade"
    eventually(lambda: evener.metrics().value("evener_open_tunnels") == 0)
    page = evener.metrics()
    for direction in ("in", "out"):
        assert page.value("evener_server_bytes_total", direction=direction) > 20 * 8
    line = evener.until_logged(lambda line: line["http.response.status_code"] == 101)
    assert line["http.response.body.size"] == 5 + 20 * 8


def test_the_servers_end_ends_the_tunnel(evener: Evener, origins: Callable[..., Origin]) -> None:
    def behave(talk: Talk) -> None:
        talk.head()
        talk.send(ANSWER + b"bye")

    start(evener, origins(behave).address)
    with Wire(evener.listen) as wire:
        assert wire.send(QUESTION).answer().status == 101
        assert wire.rest() == b"bye"


def test_a_refused_upgrade_is_an_answer_as_any(
    evener: Evener, origins: Callable[..., Origin]
) -> None:
    start(evener, origins().address)
    with Wire(evener.listen) as wire:
        assert wire.send(QUESTION).answer().body == b"origin /ws"
        assert wire.ask("/next").body == b"origin /next"


def test_nothing_behind_an_upgrade_goes_out_before_the_101(
    evener: Evener, origins: Callable[..., Origin]
) -> None:
    """Else a server that refuses would take it for a request (SECURITY.md, early data)."""
    early: list[bytes] = []

    def behave(talk: Talk) -> None:
        talk.head()
        talk.sock.settimeout(0.3)
        try:
            early.append(talk.sock.recv(100))
        except TimeoutError:
            early.append(b"")
        talk.sock.settimeout(10)
        talk.send(ANSWER)
        while piece := talk.some():
            talk.send(piece)

    start(evener, origins(behave).address)
    with Wire(evener.listen) as wire:
        wire.send(QUESTION + "early bird")
        assert wire.answer().status == 101
        assert wire.take(10) == b"early bird"
    assert early == [b""]


APPLICATION = """
async def app(scope, receive, send):
    assert scope["type"] == "http"
    body, more = b"", True
    while more:
        event = await receive()
        body += event.get("body", b"")
        more = event.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for at in range(3):
        await send({"type": "http.response.body", "body": b"%d:" % at, "more_body": True})
    await send({"type": "http.response.body", "body": body})
"""


def test_uvicorn_answers_and_streams(evener: Evener, home: Path, ends: ExitStack) -> None:
    server = Uvicorn(home, APPLICATION)
    ends.callback(server.process.end)
    start(evener, server.address)
    assert get(evener.listen, "/x").body == b"0:1:2:"
    with Wire(evener.listen) as wire:
        for _ in range(3):
            assert wire.ask("/y", method="POST", body=b"data").body == b"0:1:2:data"


def test_a_websocket_through_a_second_balancer(evener: Evener, home: Path, ends: ExitStack) -> None:
    """A real handshake and real frames, with haproxy between us and an echo of our own."""
    origin = Origin(websocket_echo)
    ends.callback(origin.close)
    haproxy = Haproxy(home, origin.address)
    ends.callback(haproxy.process.end)
    start(evener, haproxy.address)
    key = base64.b64encode(os.urandom(16)).decode()
    with Wire(evener.listen) as wire:
        answer = wire.ask(
            "/chat",
            "Upgrade: websocket",
            "Connection: keep-alive, Upgrade",
            f"Sec-WebSocket-Key: {key}",
            "Sec-WebSocket-Version: 13",
        )
        assert answer.status == 101
        assert answer.value("sec-websocket-accept") == accept_of(key)
        for text in (b"short", b"x" * 3000):
            wire.send(frame(text, mask=os.urandom(4)))
            head = wire.take(2)
            length = head[1]
            if length == 126:
                length = struct.unpack("!H", wire.take(2))[0]
            assert wire.take(length) == text.upper()


def accept_of(key: str) -> str:
    """RFC 6455 §4.2.2."""
    digest = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
    return base64.b64encode(digest).decode()


def frame(payload: bytes, mask: bytes = b"") -> bytes:
    """A text frame (RFC 6455 §5.2)."""
    bit = 0x80 if mask else 0
    if len(payload) < 126:
        head = bytes([0x81, bit | len(payload)])
    else:
        head = bytes([0x81, bit | 126]) + struct.pack("!H", len(payload))
    if mask:
        payload = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
    return head + mask + payload


def websocket_echo(talk: Talk) -> None:
    head = talk.head()
    accept = accept_of(head.value("sec-websocket-key") or "")
    talk.send(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept.encode() + b"\r\n\r\n"
    )
    while True:
        length = talk.take(2)[1] & 0x7F
        if length == 126:
            length = struct.unpack("!H", talk.take(2))[0]
        mask = talk.take(4)
        payload = bytes(byte ^ mask[at % 4] for at, byte in enumerate(talk.take(length)))
        talk.send(frame(payload.upper()))
