"""A server that does what a test tells it, right or wrong, and knows each request it got.

Rules kept here:
- One thread per connection runs the behaviour, a function that talks; its end closes the
  connection.
- A behaviour can be changed at any time; connections that are open keep theirs.
- What a behaviour raises by mistake fails the test when the origin ends.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .places import fresh_host
from .waiting import eventually

#: Seconds a behaviour waits for the peer before its connection is closed.
PATIENCE = 20.0


@dataclass(frozen=True)
class Request:
    """What came: as it was on the wire, and taken apart.

    Attributes:
        connection: The number of the connection it came on, from 1.
    """

    method: str
    target: str
    version: str
    fields: tuple[tuple[str, str], ...]
    body: bytes
    connection: int
    raw_head: bytes = field(repr=False)

    def all(self, name: str) -> list[str]:
        """The values of all fields of a name."""
        return [value for key, value in self.fields if key.lower() == name.lower()]

    def value(self, name: str) -> str | None:
        """The value of the one field of a name."""
        values = self.all(name)
        assert len(values) <= 1, f"{name} came {len(values)} times: {values}"
        return values[0] if values else None


class Left(Exception):
    """The peer has closed, or the origin ends."""


class Talk:
    """One connection, as a behaviour sees it."""

    def __init__(self, origin: Origin, sock: socket.socket, number: int) -> None:
        self.origin, self.sock, self.number = origin, sock, number
        self._held = bytearray()

    def head(self) -> Request:
        """The next request's head; Left when none comes any more."""
        while (end := self._held.find(b"\r\n\r\n")) < 0:
            self._more()
        raw = bytes(self._held[: end + 4])
        del self._held[: end + 4]
        line, *lines = raw[:-4].decode("latin-1").split("\r\n")
        method, target, version = line.split(" ", 2)
        fields = []
        for one in lines:
            name, _, value = one.partition(":")
            fields.append((name, value.strip(" \t")))
        return Request(method, target, version, tuple(fields), b"", self.number, raw)

    def request(self) -> Request:
        """The next request, body and all; it is in `origin.requests` from now on."""
        head = self.head()
        if head.value("expect"):
            self.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        whole = Request(**{**head.__dict__, "body": self.body(head)})
        self.note(whole)
        return whole

    def note(self, request: Request) -> None:
        """Lists a request as one that came."""
        self.origin.requests.append(request)

    def body(self, head: Request) -> bytes:
        """The body that belongs to a head."""
        if coding := head.value("transfer-encoding"):
            assert coding.lower() == "chunked", coding
            return self._chunks()
        return self.take(int(head.value("content-length") or 0))

    def take(self, count: int) -> bytes:
        """So many bytes."""
        while len(self._held) < count:
            self._more()
        taken = bytes(self._held[:count])
        del self._held[:count]
        return taken

    def line(self) -> bytes:
        """A line, without its end."""
        while (end := self._held.find(b"\r\n")) < 0:
            self._more()
        return self.take(end + 2)[:-2]

    def _chunks(self) -> bytes:
        body = b""
        while size := int(self.line().split(b";")[0], 16):
            body += self.take(size)
            assert self.take(2) == b"\r\n"
        while self.line():
            pass
        return body

    def _more(self) -> None:
        try:
            piece = self.sock.recv(65536)
        except (OSError, ValueError) as error:
            raise Left from error
        if not piece:
            raise Left
        self._held += piece

    def some(self) -> bytes:
        """What is there, at least a byte; empty at the peer's end."""
        if not self._held:
            try:
                self._more()
            except Left:
                return b""
        return self.take(len(self._held))

    def send(self, data: bytes) -> None:
        """Sends as it is."""
        try:
            self.sock.sendall(data)
        except OSError as error:
            raise Left from error

    def answer(
        self,
        body: bytes = b"",
        status: str = "200 OK",
        fields: Sequence[str] = (),
        length: bool = True,
    ) -> None:
        """Sends a whole answer, with its Content-Length unless told otherwise."""
        lines = [f"HTTP/1.1 {status}", *fields]
        if length:
            lines.append(f"Content-Length: {len(body)}")
        self.send("\r\n".join([*lines, "", ""]).encode("latin-1") + body)

    def until_left(self) -> bool:
        """Waits until the peer closes or resets; whether it did."""
        with contextlib.suppress(OSError):
            while self.sock.recv(65536):
                pass
        return not self.origin.ending

    def half_close(self) -> None:
        """Says that nothing more comes."""
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Ends the connection by a reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()
        raise Left


Behaviour = Callable[[Talk], None]


def answering(body: bytes = b"", status: str = "200 OK", fields: Sequence[str] = ()) -> Behaviour:
    """Answers each request so; without a body, with the origin's name and the target."""

    def behave(talk: Talk) -> None:
        while True:
            request = talk.request()
            text = body or f"{talk.origin.name} {request.target}".encode()
            talk.answer(b"" if request.method == "HEAD" else text, status, fields)

    return behave


class Origin:
    """A server that behaves as told.

    Args:
        behave: What it does with each connection.
        name: What it calls itself in its answers.
        tls: Shakes hands first.
        path: A unix socket instead of an address of its own.
        host: The address to listen on.
    """

    def __init__(
        self,
        behave: Behaviour | None = None,
        name: str = "origin",
        tls: ssl.SSLContext | None = None,
        path: Path | None = None,
        host: str | None = None,
    ) -> None:
        self.behave = behave or answering()
        self.name, self.tls = name, tls
        self.requests: list[Request] = []
        self.mistakes: list[BaseException] = []
        self.connections = 0
        self.ending = False
        self._open: set[socket.socket] = set()
        self._listener: socket.socket | None = None
        self._path = path
        self._host, self._port = host or fresh_host(), 0
        self.listen()

    def listen(self) -> None:
        """Begins to accept, on the address it had if it had one."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(str(self._path))
            self._path.chmod(0o666)
        else:
            family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
            listener = socket.socket(family)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((self._host, self._port))
            self._port = listener.getsockname()[1]
        listener.listen(512)
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def refuse(self) -> None:
        """Stops to accept, so that connections are refused, and ends those that are open."""
        if self._listener is not None:
            # close() alone would leave the thread's accept() pending, and the port open with it.
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        self.cut()

    def cut(self) -> None:
        """Ends the connections that are open."""
        for sock in list(self._open):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    @property
    def port(self) -> int:
        """Its port."""
        return self._port

    @property
    def address(self) -> str:
        """As a server stands in a configuration."""
        if self._path is not None:
            return f"unix:{self._path}"
        return f"[{self._host}]:{self._port}" if ":" in self._host else f"{self._host}:{self._port}"

    @property
    def open(self) -> int:
        """Connections that are open now."""
        return len(self._open)

    def got(self, target: str, within: float = 5.0) -> Request:
        """The request for a target; waits for it."""
        return eventually(
            lambda: next((one for one in self.requests if one.target == target), None),
            within,
            f"a request for {target} at {self.name}",
        )

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            self.connections += 1
            arguments = (sock, self.connections)
            threading.Thread(target=self._serve, args=arguments, daemon=True).start()

    def _serve(self, sock: socket.socket, number: int) -> None:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(PATIENCE)
        self._open.add(sock)
        plain = sock
        try:
            if self.tls is not None:
                sock = self.tls.wrap_socket(sock, server_side=True)
                self._open.add(sock)
            self.behave(Talk(self, sock, number))
        except (Left, OSError):
            pass
        except BaseException as mistake:  # told when the test ends, see `close`
            self.mistakes.append(mistake)
        finally:
            self._open.discard(plain)
            self._open.discard(sock)
            sock.close()

    def close(self) -> None:
        """Ends it; raises what a behaviour did wrong."""
        self.ending = True
        self.refuse()
        if self.mistakes:
            raise self.mistakes[0]
