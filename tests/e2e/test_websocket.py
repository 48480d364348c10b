"""WebSocket through Evener: uvicorn is the server, `websockets` without its sockets the client."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import Event
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from .rig.instance import Evener
from .rig.programs import Uvicorn
from .rig.waiting import eventually
from .rig.wire import connect

MIB = 1 << 20
#: Says back what it is told, text as text and bytes as bytes; `bye` makes it close.
ECHO = """
async def app(scope, receive, send):
    assert scope["type"] == "websocket" and scope["path"] == "/chat"
    assert (await receive())["type"] == "websocket.connect"
    await send({"type": "websocket.accept", "subprotocol": scope["subprotocols"][0]})
    while (event := await receive())["type"] == "websocket.receive":
        if event.get("text") == "bye":
            await send({"type": "websocket.close", "code": 4001, "reason": "as you said"})
            return
        kind = "text" if event.get("text") is not None else "bytes"
        await send({"type": "websocket.send", kind: event[kind]})
"""


class Chat:
    """A client on one connection; each frame that comes is looked at before it is obeyed."""

    def __init__(self, address: str) -> None:
        self._sock = connect(address)
        self._came: list[Event] = []
        self.protocol = ClientProtocol(
            parse_uri(f"ws://{address}/chat"), subprotocols=[Subprotocol("echo")], max_size=2 * MIB
        )
        self.protocol.send_request(self.protocol.connect())
        answer = self._next()
        assert isinstance(answer, Response) and answer.status_code == 101, answer
        assert self.protocol.handshake_exc is None, "RFC 6455 §4.1 as the library judges it"
        assert self.protocol.subprotocol == "echo"

    def frame(self) -> Frame:
        """The next frame; pings of the server are answered as they pass."""
        while True:
            frame = self._next()
            assert isinstance(frame, Frame)
            if frame.opcode is not Opcode.PING:
                return frame

    def ping(self) -> Frame:
        """The next ping of the server, nothing else having come before it. Is answered."""
        frame = self._next()
        assert isinstance(frame, Frame) and frame.opcode is Opcode.PING, frame
        self.flush()
        return frame

    def message(self) -> bytes:
        """The next message, its frames put together."""
        first = self.frame()
        assert first.opcode in (Opcode.TEXT, Opcode.BINARY), first
        data, last = bytes(first.data), first
        while not last.fin:
            last = self.frame()
            assert last.opcode is Opcode.CONT, last
            data += last.data
        return data

    def flush(self) -> None:
        """Sends what the protocol has to say."""
        for piece in self.protocol.data_to_send():
            # An empty piece is the end of what we send (websockets, sans-IO).
            self._sock.sendall(piece) if piece else self._sock.shutdown(socket.SHUT_WR)

    def ends(self) -> bool:
        """Whether the server's end has come, with nothing before it; ends our side, too."""
        self.flush()
        ended = self._sock.recv(1) == b"" and not self._came
        self.protocol.receive_eof()
        self.close()
        return ended

    def close(self) -> None:
        """Lets go of the connection."""
        self._sock.close()

    def _next(self) -> Event:
        self.flush()
        while not self._came:
            piece = self._sock.recv(65536)
            assert piece, "closed where a frame was due"
            self.protocol.receive_data(piece)
            self._came += self.protocol.events_received()
        self.flush()
        return self._came.pop(0)


@pytest.fixture
def chat(evener: Evener, home: Path, ends: ExitStack) -> Iterator[Chat]:
    server = Uvicorn(home, ECHO, "--ws", "websockets-sansio", "--ws-ping-interval", "0.2")
    ends.callback(server.process.end)
    evener.start(
        f"listeners: {{web: {{bind: '{evener.listen}', pool: app}}}}\n"
        f"pools: {{app: ['{server.address}']}}\n"
    )
    chat = Chat(evener.listen)
    yield chat
    chat.close()


def test_frames_pass_both_ways(chat: Chat, evener: Evener) -> None:
    for number in range(50):
        chat.protocol.send_text(f"no. {number}: ÄÖ€".encode())
        chat.protocol.send_binary(bytes([number, 0, 13, 10, 13, 10]))
    for number in range(50):
        assert chat.message().decode() == f"no. {number}: ÄÖ€"
        assert chat.message() == bytes([number, 0, 13, 10, 13, 10])
    evener.until_counts(1, "evener_open_tunnels")


def test_a_message_of_a_mebibyte_comes_back_whole(chat: Chat) -> None:
    message = b"".join(b"%015d\n" % at for at in range(MIB // 16))
    chat.protocol.send_binary(message)
    assert chat.message() == message
    # In pieces, with a ping between them (RFC 6455 §5.4): the server puts them together.
    chat.protocol.send_binary(message[:1000], fin=False)
    chat.protocol.send_ping(b"between")
    chat.protocol.send_continuation(message[1000:], fin=True)
    pong = chat.frame()
    assert (pong.opcode, bytes(pong.data)) == (Opcode.PONG, b"between")
    assert chat.message() == message


def test_pings_pass_both_ways(chat: Chat) -> None:
    chat.protocol.send_ping(b"are you there?")
    pong = chat.frame()
    assert (pong.opcode, bytes(pong.data)) == (Opcode.PONG, b"are you there?")
    # uvicorn pings every 0.2 s, and asks again only when it was answered.
    assert len({bytes(chat.ping().data) for _ in range(3)}) == 3
    chat.protocol.send_text(b"still here")
    assert chat.message() == b"still here"


def test_the_client_closes_with_a_handshake(chat: Chat, evener: Evener) -> None:
    chat.protocol.send_close(1000, "done")
    answer = chat.frame()
    assert answer.opcode is Opcode.CLOSE and answer.data[:2] == (1000).to_bytes(2, "big")
    assert chat.ends()
    assert (chat.protocol.close_code, chat.protocol.close_reason) == (1000, "done")
    eventually(lambda: evener.metrics().value("evener_open_tunnels") == 0, what="the tunnel's end")


def test_the_server_closes_with_a_handshake(chat: Chat, evener: Evener) -> None:
    chat.protocol.send_text(b"bye")
    assert chat.frame().opcode is Opcode.CLOSE
    assert chat.ends()
    assert (chat.protocol.close_code, chat.protocol.close_reason) == (4001, "as you said")
    eventually(lambda: evener.metrics().value("evener_open_tunnels") == 0, what="the tunnel's end")
