"""One strict origin: reads requests as the RFCs say and no other way, and keeps each as it came.

Rules kept here:
- What it cannot read in exactly one way it names and hangs up on; it repairs nothing.
- A request is listed as soon as its head is there, so that half of one is seen, too.
- Answers are played byte for byte, and byte by byte where that is asked for.
Not known here: what should have come.
"""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import threading
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.rig.places import fresh_host
from tests.e2e.rig.waiting import eventually

#: Seconds a connection may rest before it is given up.
PATIENCE = 60.0
#: What is said to a request when nothing else is to be played.
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([!-~\x80-\xff]+) HTTP/1\.[01]")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(|[!-~\x80-\xff](?:[\t -~\x80-\xff]*))")


@dataclass
class Seen:
    """A request as it came.

    Attributes:
        connection: Number of the connection it came on, from 1.
        head: Its head with the empty line.
        body: Its payload, as far as it came.
        trailer: Its trailer, if it has one.
        state: `open` while more is due; `whole`; `cut` where the peer ended within it; else what
            is wrong with it.
    """

    connection: int
    head: bytes
    body: bytes = b""
    trailer: bytes = b""
    state: str = "open"

    @property
    def target(self) -> bytes:
        """What it is about."""
        return self.head.split(b" ", 2)[1] if self.head.count(b" ") > 1 else b""


@dataclass(frozen=True)
class Script:
    """An answer to play once: its bytes, whether the connection ends behind, in what pieces, and
    what lies behind it: that comes with its last byte, or it could come when it is asked again."""

    send: bytes
    eof: bool = False
    bytewise: bool = False
    behind: bytes = b""


class _End(Exception):
    """The peer has ended its direction, or the origin ends."""


class Odd(Exception):
    """A request that a strict reader does not take; the words say why."""


class StrictOrigin:
    """The origin.

    Args:
        path: A unix socket instead of an address of its own.
        tls: Shakes hands first.
        patience: Seconds a connection may rest.
    """

    def __init__(
        self,
        path: Path | None = None,
        tls: ssl.SSLContext | None = None,
        patience: float = PATIENCE,
    ) -> None:
        self.seen: list[Seen] = []
        self.script: Script | None = None
        self.connections = 0
        self.ended: set[int] = set()
        self._tls, self._patience = tls, patience
        self._open: set[socket.socket] = set()
        if path is not None:
            self._listener, self.address = socket.socket(socket.AF_UNIX), f"unix:{path}"
            self._listener.bind(str(path))
            path.chmod(0o666)
        else:
            host = fresh_host()
            self._listener = socket.create_server((host, 0))
            self.address = f"{host}:{self._listener.getsockname()[1]}"
        self._listener.listen(512)
        threading.Thread(target=self._accept, daemon=True).start()

    def until_ended(self, connection: int) -> bool:
        """Whether the peer ends a connection within a moment."""
        with contextlib.suppress(AssertionError):
            eventually(lambda: connection in self.ended, 3.0)
        return connection in self.ended

    def close(self) -> None:
        """Ends it and its connections."""
        for sock in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(sock, self.connections), daemon=True).start()

    def _serve(self, sock: socket.socket, number: int) -> None:
        sock.settimeout(self._patience)
        self._open.add(sock)
        plain = sock
        try:
            if sock.family != socket.AF_UNIX:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is not None:
                sock = self._tls.wrap_socket(sock, server_side=True)
            talk = _Talk(self, sock, number)
            while talk.exchange():
                pass
        except (_End, OSError):
            pass
        finally:
            self.ended.add(number)
            self._open.discard(plain)
            sock.close()


class _Talk:
    """One connection."""

    def __init__(self, origin: StrictOrigin, sock: socket.socket, number: int) -> None:
        self._origin, self._sock, self._number = origin, sock, number
        self._held = b""

    def exchange(self) -> bool:
        """One request and its answer; whether another may follow."""
        seen = Seen(self._number, b"")
        try:
            seen.head = self._until(b"\r\n\r\n")
        except (_End, OSError):
            if self._held:
                self._origin.seen.append(Seen(self._number, self._held, state="cut"))
            raise
        self._origin.seen.append(seen)
        script, self._origin.script = self._origin.script, None
        try:
            fields = fields_of(seen.head)
            send = self._continue(fields, script)
            self._body(fields, seen)
            seen.state = "whole"
        except Odd as why:
            seen.state = str(why)
            return False
        except (_End, OSError):
            seen.state = "cut"
            raise
        return self._answer(seen, script, send)

    def _continue(self, fields: dict[bytes, bytes], script: Script | None) -> bytes:
        """Says 100 to who waits for it; what is left to say after the body."""
        send = script.send if script else b""
        if b"expect" not in fields:
            return send
        first, mark, rest = send.partition(b"\r\n\r\n")
        if script is None or not mark:
            first, rest = b"HTTP/1.1 100 Continue", send
        self._send(first + b"\r\n\r\n", script is not None and script.bytewise)
        return rest

    def _answer(self, seen: Seen, script: Script | None, send: bytes) -> bool:
        if script is None:
            end = ANSWER.index(b"\r\n\r\n") + 4
            self._send(ANSWER[:end] if seen.head.startswith(b"HEAD ") else ANSWER)
            return True
        self._send(send, script.bytewise, script.behind)
        if script.eof:
            self._end()
        return not script.eof

    def _end(self) -> None:
        """Ends our direction, with TLS's own word where it is spoken, and waits for the peer's."""
        if isinstance(self._sock, ssl.SSLSocket):
            self._sock = self._sock.unwrap()
        self._sock.shutdown(socket.SHUT_WR)
        while self._sock.recv(65536):
            pass

    def _send(self, data: bytes, bytewise: bool = False, behind: bytes = b"") -> None:
        pieces = [data[at : at + 1] for at in range(len(data))] if bytewise else [data]
        *others, last = pieces or [b""]
        for piece in (*others, last + behind):
            self._sock.sendall(piece)

    def _body(self, fields: dict[bytes, bytes], seen: Seen) -> None:
        length, coding = fields.get(b"content-length"), fields.get(b"transfer-encoding")
        if length is not None and coding is not None:
            raise Odd("both lengths")
        if coding is not None:
            if coding.lower() != b"chunked":
                raise Odd(f"coding {coding!r}")
            return self._chunks(seen)
        if length is not None:
            if not re.fullmatch(rb"[0-9]+", length):
                raise Odd(f"length {length!r}")
            left = int(length)
            while left > 0:
                seen.body += (piece := self._some(left))
                left -= len(piece)
        return None

    def _chunks(self, seen: Seen) -> None:
        while True:
            line = self._until(b"\r\n")[:-2]
            if not re.fullmatch(rb"[0-9a-fA-F]{1,16}", line):
                raise Odd(f"chunk size {line!r}")
            if not (left := int(line, 16)):
                break
            while left > 0:
                seen.body += (piece := self._some(left))
                left -= len(piece)
            if self._take(2) != b"\r\n":
                raise Odd("a chunk without its end")
        while (line := self._until(b"\r\n")) != b"\r\n":
            if not _FIELD.fullmatch(line[:-2]):
                raise Odd(f"trailer {line!r}")
            seen.trailer += line

    def _until(self, mark: bytes) -> bytes:
        while (end := self._held.find(mark)) < 0:
            self._more()
        return self._take(end + len(mark))

    def _take(self, count: int) -> bytes:
        while len(self._held) < count:
            self._more()
        taken, self._held = self._held[:count], self._held[count:]
        return taken

    def _some(self, most: int) -> bytes:
        if not self._held:
            self._more()
        return self._take(min(most, len(self._held)))

    def _more(self) -> None:
        piece = self._sock.recv(65536)
        if not piece:
            raise _End
        self._held += piece


def fields_of(head: bytes) -> dict[bytes, bytes]:
    """The fields of a strict head, names in small letters.

    Raises:
        Odd: It is no such head, or a field that frames or routes stands there twice.
    """
    line, *lines = head[: -len(b"\r\n\r\n")].split(b"\r\n")
    if not _LINE.fullmatch(line):
        raise Odd(f"request line {line!r}")
    fields: dict[bytes, bytes] = {}
    for one in lines:
        match = _FIELD.fullmatch(one)
        if match is None:
            raise Odd(f"field {one!r}")
        name = match[1].lower()
        if name in fields and name in (b"host", b"content-length", b"transfer-encoding"):
            raise Odd(f"{name.decode()} twice")
        fields[name] = match[2].rstrip(b" \t")
    if b"host" not in fields and line.endswith(b"1.1"):
        raise Odd("no host")
    return fields
