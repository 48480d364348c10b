"""A client that sends bytes as they are and reads answers strictly, one after the other.

Rules kept here:
- Every read has a bound; what is left over of one answer is the beginning of the next.
- An answer that is not well-formed is an AssertionError that shows it.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
from dataclasses import dataclass
from types import TracebackType

#: Seconds one read may take.
PATIENCE = 10.0


@dataclass(frozen=True)
class Answer:
    """An answer as it came."""

    status: int
    reason: str
    version: str
    fields: tuple[tuple[str, str], ...]
    body: bytes
    raw_head: bytes

    def all(self, name: str) -> list[str]:
        """The values of all fields of a name."""
        return [value for key, value in self.fields if key.lower() == name.lower()]

    def value(self, name: str) -> str | None:
        """The value of the one field of a name."""
        values = self.all(name)
        assert len(values) <= 1, f"{name} came {len(values)} times: {values}"
        return values[0] if values else None


class Closed(AssertionError):
    """The peer closed where an answer was due."""


def connect(address: str, source: str | None = None) -> socket.socket:
    """A connection to HOST:PORT, [HOST]:PORT or unix:PATH, from an address of this machine."""
    if address.startswith("unix:"):
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(PATIENCE)
        try:
            sock.connect(address.removeprefix("unix:"))
        except OSError:
            sock.close()
            raise
        return sock
    host, _, port = address.rpartition(":")
    sock = socket.create_connection(
        (host.strip("[]"), int(port)), PATIENCE, (source, 0) if source else None
    )
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


class Wire:
    """One connection.

    Args:
        address: HOST:PORT, [HOST]:PORT or unix:PATH.
        tls: Shakes hands first.
        name: The SNI.
        source: The address it comes from.
    """

    def __init__(
        self,
        address: str,
        tls: ssl.SSLContext | None = None,
        name: str | None = None,
        source: str | None = None,
    ) -> None:
        self.sock = connect(address, source)
        if tls is not None:
            plain = self.sock
            try:
                self.sock = tls.wrap_socket(plain, server_hostname=name)
            except OSError:
                plain.close()
                raise
        self._held = bytearray()
        self._ended = False

    def __enter__(self) -> Wire:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def send(self, data: bytes | str) -> Wire:
        """Sends as it is."""
        self.sock.sendall(data.encode("latin-1") if isinstance(data, str) else data)
        return self

    def ask(
        self, target: str = "/", *fields: str, method: str = "GET", body: bytes = b""
    ) -> Answer:
        """Sends a whole request and reads its answer."""
        lines = [f"{method} {target} HTTP/1.1", "Host: test.example", *fields]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        self.send("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
        return self.answer(method)

    def answer(self, method: str = "GET") -> Answer:
        """The next answer, interim ones included."""
        raw = self.until(b"\r\n\r\n")
        line, *lines = raw[:-4].decode("latin-1").split("\r\n")
        version, code, reason = (line + " ").split(" ", 2)
        assert version in ("HTTP/1.1", "HTTP/1.0") and code.isdigit(), raw
        fields = tuple(_field(one) for one in lines)
        answer = Answer(int(code), reason.strip(), version, fields, b"", raw)
        return Answer(**{**answer.__dict__, "body": self._body(answer, method)})

    def final(self, method: str = "GET") -> Answer:
        """The next answer that is not an interim one."""
        while (answer := self.answer(method)).status < 200 and answer.status != 101:
            pass
        return answer

    def _body(self, answer: Answer, method: str) -> bytes:
        bodiless = answer.status < 200 or answer.status in (204, 304)
        coding, length = answer.value("transfer-encoding"), answer.value("content-length")
        assert not (coding and length), answer
        if method == "HEAD" or bodiless:
            return b""
        if coding:
            assert coding == "chunked", answer
            return self._chunks()
        return self.rest() if length is None else self.take(int(length))

    def _chunks(self) -> bytes:
        body = b""
        while size := int(self.until(b"\r\n"), 16):
            body += self.take(size)
            assert self.take(2) == b"\r\n"
        while self.until(b"\r\n") != b"\r\n":
            pass
        return body

    def until(self, mark: bytes) -> bytes:
        """All up to a mark, and the mark."""
        while (end := self._held.find(mark)) < 0:
            self._more()
        return self.take(end + len(mark))

    def take(self, count: int) -> bytes:
        """So many bytes."""
        while len(self._held) < count:
            self._more()
        taken = bytes(self._held[:count])
        del self._held[:count]
        return taken

    def rest(self) -> bytes:
        """All up to the peer's end."""
        while not self._ended:
            with contextlib.suppress(Closed):
                self._more()
        return self.take(len(self._held))

    def _more(self) -> None:
        piece = self.sock.recv(65536)
        if not piece:
            self._ended = True
            raise Closed(f"closed after {bytes(self._held)!r}")
        self._held += piece

    def closes(self, within: float = PATIENCE) -> bool:
        """Whether the peer closes (or resets) without another byte."""
        self.sock.settimeout(within)
        try:
            piece = self.sock.recv(1) if not self._held else bytes(self._held)
        except TimeoutError:
            return False
        except OSError:
            return True
        finally:
            self.sock.settimeout(PATIENCE)
        assert not piece, f"more came: {piece!r}"
        return True

    def half_close(self) -> None:
        """Says that nothing more comes."""
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Ends the connection by a reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def close(self) -> None:
        """Closes it."""
        self.sock.close()


def get(address: str, target: str = "/", *fields: str, method: str = "GET") -> Answer:
    """One request on a connection of its own."""
    with Wire(address) as wire:
        return wire.ask(target, "Connection: close", *fields, method=method)


def _field(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    assert colon and name == name.strip() and name, line
    return name, value.strip(" \t")
