"""Send a probe through a door and say in words what became of it.

Rules kept here:
- Words are for comparing: they hold what an attacker or a victim could see (which requests the
  origin read, whose fields, whose bytes; which answers the client read), and nothing of style.
- A peer that says nothing is given time, and is then called waiting.
"""

from __future__ import annotations

import contextlib
import re
import socket
from dataclasses import dataclass

from tests.conformance.http1.differential.fronts import Door
from tests.conformance.http1.differential.probes import PLAIN, Probe
from tests.conformance.http1.origin import Odd, Script, Seen, fields_of

#: Seconds until a peer that has said nothing is waiting; and one that has said something is done.
SILENCE = 0.7
QUIET = 0.15

#: Fields that tell nothing: framing is in the words already, the rest is each proxy's own.
_DULL = {b"host", b"content-length", b"transfer-encoding", b"connection", b"accept-encoding"}
_OWN = (b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host")
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})(?: ([^\r\n]*))?\r\n")


@dataclass(frozen=True)
class Outcome:
    """What became of a probe.

    Attributes:
        origin: The requests that the origin read, in words.
        client: The answers that the client read, in words.
        after: What somebody else then got who asked plainly, unless it was the right answer.
        answers: Whether a server's bytes were played, so that the client's view is what counts.
    """

    origin: tuple[str, ...]
    client: tuple[str, ...]
    after: str = ""
    answers: bool = False

    @property
    def kind(self) -> tuple[str, ...]:
        """What is compared: refusals are alike, whatever their status."""
        if self.answers:
            return (*("refused" if one[0] == "5" else one for one in self.client), self.after)
        if self.origin:
            return (*self.origin, *self._refusals, self.after)
        return ("refused" if self._refusals else "nothing",)

    @property
    def refuses(self) -> bool:
        """Whether nothing of it went on, or it was cut."""
        cut = any(one.endswith(" cut") for one in self.client)
        return self.kind[0] == "refused" or (self.answers and cut)

    @property
    def _refusals(self) -> tuple[str, ...]:
        return tuple("refused" for one in self.client if one[0] in "45")

    @property
    def words(self) -> str:
        """All of it."""
        parts = [*(f"→ {one}" for one in self.origin)]
        if not self.origin or self._refusals:
            parts.append(" ".join(self.client))
        if self.after:
            parts.append(f"the next one gets {self.after}")
        return "; ".join(parts)


def ask(door: Door, probe: Probe, source: str) -> Outcome:
    """What becomes of a client's bytes."""
    before = len(door.origin.seen)
    raw, open_ = converse(door.address, probe.send, source)
    seen = door.origin.seen[before:]
    client = answers(raw, open_) or (("waits" if open_ else "hangs up"),)
    return Outcome(tuple(_request(one, source) for one in seen), client)


def answer(door: Door, probe: Probe, source: str) -> Outcome:
    """What becomes of a server's bytes; and whether they reach who asks next."""
    assert probe.ask is not None
    door.origin.script = Script(probe.send, probe.eof)
    raw, open_ = converse(door.address, probe.ask, source)
    door.origin.script = None
    head = probe.ask.startswith(b"HEAD")
    client = answers(raw, open_, head) or (("waits" if open_ else "hangs up"),)
    following, _ = converse(door.address, PLAIN, "127.0.0.1")
    after = " ".join(answers(following, True))
    return Outcome((), client, "" if after == "200 `ok`" else after or "nothing", True)


def converse(address: str, data: bytes, source: str) -> tuple[bytes, bool]:
    """All that comes back until the peer ends or rests, and whether it is still there."""
    host, _, port = address.rpartition(":")
    raw = b""
    with socket.create_connection((host, int(port)), 5.0, (source, 0)) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(OSError):
            sock.sendall(data)
        while True:
            sock.settimeout(QUIET if raw else SILENCE)
            try:
                piece = sock.recv(65536)
            except TimeoutError:
                return raw, True
            except OSError:
                return raw, False
            if not piece:
                return raw, False
            raw += piece


def answers(raw: bytes, open_: bool, head: bool = False) -> tuple[str, ...]:
    """The answers in what a client got, as a strict client reads them."""
    found = []
    while raw:
        match = _STATUS.match(raw)
        end = raw.find(b"\r\n\r\n") + 4
        if match is None or end < 4:
            found.append("junk")
            break
        fields, raw = raw[match.end() : end], raw[end:]
        status = int(match[1])
        body, whole = b"", True
        if not head and status >= 200 and status not in (204, 304):
            body, raw, whole = _body(fields.lower(), raw, open_)
        shown = "" if status >= 400 or not body else f" `{_text(body)}`"
        found.append(f"{status}{shown}{_extra(fields)}" + ("" if whole else " cut"))
        if status == 101:
            break
    return tuple(found)


def _extra(fields: bytes) -> str:
    """A field `a` or `link` of the tables' answers, if one came through."""
    found = re.findall(rb"(?im)^(?:a|x-a|link|x\W.*): ?(.*)\r$", fields)
    return f" with `{_text(b', '.join(found))}`" if found else ""


def _body(fields: bytes, raw: bytes, open_: bool) -> tuple[bytes, bytes, bool]:
    """Payload, what follows, and whether it is whole."""
    if b"transfer-encoding: chunked" in fields:
        payload = b""
        while match := re.match(rb"([0-9a-fA-F]+)\r\n", raw):
            size = int(match[1], 16)
            raw = raw[match.end() :]
            if size == 0 and raw.startswith(b"\r\n"):
                return payload, raw[2:], True
            payload, raw = payload + raw[:size], raw[size + 2 :]
        return payload, b"", False
    if length := re.search(rb"(?m)^content-length:[ \t]*(\d+)[ \t]*\r$", fields):
        size = int(length[1])
        return raw[:size], raw[size:], len(raw) >= size
    return raw, b"", not open_


def _request(seen: Seen, source: str) -> str:
    """A request that the origin read, in words."""
    line = seen.head.split(b"\r\n", 1)[0]
    try:
        fields = fields_of(seen.head)
    except Odd as why:
        return f"`{_text(line)}`: {why}"
    method, target = line.split(b" ")[:2]
    own = {name for name in _OWN if _is_ours(name, fields, source)}
    shown = [
        f"`{_text(name)}: {_text(value)}`"
        for name, value in fields.items()
        if name not in _DULL | own
    ]
    words = f"`{_text(method)} {_text(target)}` {_host(fields)}"
    if seen.body:
        words += f" and `{_text(seen.body)}`"
    if seen.trailer:
        words += f" and the trailer `{_text(seen.trailer)}`"
    if shown:
        words += f" with {', '.join(shown)}"
    if seen.state == "whole":
        return words
    # Whether the proxy has ended it by now or waits for its rest depends on when one looks.
    return f"{words}, {'unfinished' if seen.state in ('open', 'cut') else seen.state}"


def _is_ours(name: bytes, fields: dict[bytes, bytes], source: str) -> bool:
    """Whether Evener says it of the client, and not the client of itself."""
    value = fields.get(name, b"")
    return value in (source.encode(), b"http", fields.get(b"host", b""))


def _host(fields: dict[bytes, bytes]) -> str:
    host = fields.get(b"host", b"").lower()
    if re.fullmatch(rb"127\.[\d.]+:\d+|u\d+", host):
        return "of itself"
    return f"of {_text(re.sub(rb':[0-9]*$', b'', host))}"


def _text(data: bytes) -> str:
    text = "".join(
        chr(byte) if 0x20 <= byte < 0x7F else {13: "␍", 10: "␊"}.get(byte, f"\\x{byte:02x}")
        for byte in data
    )
    return text.replace("`", "'")[:80]
