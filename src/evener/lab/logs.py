"""Access logs: Evener's JSON, the combined format with upstream's words added, HAProxy's httplog.

Rules kept here:
- The form is told by the first line that has one; lines that are none of it are counted, not
  guessed at.
- A line gives when the request arrived, who asked for what, which server had it for how long, and
  how it ended; what a form does not say is None.

Not known here: what is made of it (`replay`).
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import ip_address
from typing import Any, NamedTuple
from zlib import crc32


class Entry(NamedTuple):
    """A request of a log; times in seconds."""

    at: float
    took: float | None
    client: int
    key: int
    pool: str | None
    server: str | None
    status: int


@dataclass
class Log:
    """The requests of a log, in order of their arrival."""

    form: str = ""
    entries: list[Entry] = field(default_factory=list)
    unread: int = 0
    #: Whether it begins as gzip's files do.
    packed: bool = False


def read(lines: Iterable[str]) -> Log:
    """The requests of these lines."""
    log = Log()
    parse: Callable[[str], Entry | None] | None = None
    for number, line in enumerate(lines):
        log.packed |= number == 0 and line.startswith("\x1f")
        if parse is None:
            log.form, parse = _form(line)
        entry = parse(line) if parse is not None else None
        if entry is None:
            log.unread += bool(line.strip())
        else:
            log.entries.append(entry)
    if parse is _combined:
        log.entries = _spread(log.entries)
    log.entries.sort(key=lambda entry: entry.at)
    return log


def _spread(entries: list[Entry]) -> list[Entry]:
    """Lines that tell no more than the second in which they were written, at even distances over
    it: all of a second at once would be a crowd that never was."""
    seconds = [round(entry.at + (entry.took or 0.0)) for entry in entries]
    counts, before = Counter(seconds), Counter[int]()
    spread = []
    for entry, second in zip(entries, seconds, strict=True):
        spread.append(entry._replace(at=entry.at + before[second] / counts[second]))
        before[second] += 1
    return spread


def _form(line: str) -> tuple[str, Callable[[str], Entry | None] | None]:
    for name, parse in FORMS.items():
        if parse(line) is not None:
            return name, parse
    return "", None


#: Seconds; what says it took longer (or `NaN`, or less than none) is broken.
_LONGEST = 366 * 86_400.0


def _evener(line: str) -> Entry | None:
    if not line.startswith("{"):
        return None
    try:
        said = json.loads(line)
        ended = datetime.fromisoformat(said["time"]).timestamp()
        took = float(said["duration"])
        if not 0 <= took < _LONGEST:
            return None
        target = f"{said.get('url.path', '')}?{said.get('url.query', '')}"
        client = str(said.get("client.address", ""))
        status = int(said.get("http.response.status_code", 502 if "error.type" in said else 200))
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None
    pool, server = (said.get(name) or None for name in ("evener.pool", "evener.server"))
    if not all(isinstance(one, str | None) for one in (pool, server)):
        return None
    return Entry(ended - took, took, _client(client), _key(target), pool, server, status)


_HAPROXY = re.compile(
    r"(?P<client>\S+):\d+ \[(?P<time>[^\]]+)\] \S+ (?P<pool>[^\s/]+)/(?P<server>\S+) "
    r"(?P<timers>-?\d+/-?\d+/-?\d+/-?\d+/\+?-?\d+) (?P<status>-?\d+) .*?"
    r'"(?:\S+ (?P<target>\S+)[^"]*|<BADREQ>|)"\s*$'
)


def _haproxy(line: str) -> Entry | None:
    found = _HAPROXY.search(line)
    if found is None:
        return None
    try:
        at = datetime.strptime(f"{found['time']} +0000", "%d/%b/%Y:%H:%M:%S.%f %z")
    except ValueError:
        return None
    request, queue, _, _, whole = (int(one.lstrip("+")) for one in found["timers"].split("/"))
    waited = max(request, 0) + max(queue, 0)
    # `<NOSRV>`, and HAProxy's own services, such as `<STATS>` and `<CACHE>`.
    server = None if found["server"].startswith("<") else found["server"]
    took = max(whole - waited, 0) / 1000 if server and whole >= 0 else None
    status = int(found["status"])
    return Entry(
        at.timestamp() + waited / 1000,
        took,
        _client(found["client"]),
        _key(found["target"] or ""),
        found["pool"],
        server,
        status if status > 0 else 502,
    )


_COMBINED = re.compile(
    r'(?P<client>\S+) \S+ \S+ \[(?P<time>[^\]]+)\] "\S+ (?P<target>\S*)[^"]*" (?P<status>\d{3}) \S+'
    r'(?: "[^"]*" "[^"]*")?(?P<more>.*)$'
)
#: What people add to it: `"10.0.0.1:80" 0.012`, `ua="10.0.0.1:80" urt="0.012"` and the like. Of
#: several servers that were tried the last one had it.
_UPSTREAM = re.compile(r"(?:[\d.]+|\[[0-9a-fA-F:.]+\]|[\w.-]+):\d+|unix:/[^\s,\"]+")
_SECONDS = re.compile(r"(?<![\w.:])(\d+\.\d+)(?![\w.:])")


def _combined(line: str) -> Entry | None:
    found = _COMBINED.match(line)
    if found is None:
        return None
    try:
        ended = datetime.strptime(found["time"], "%d/%b/%Y:%H:%M:%S %z").timestamp()
    except ValueError:
        return None
    servers, times = _UPSTREAM.findall(found["more"]), _SECONDS.findall(found["more"])
    took = float(times[-1]) if times else None
    if took is not None and took >= _LONGEST:
        return None
    return Entry(
        ended - (took or 0.0),
        took,
        _client(found["client"]),
        _key(found["target"]),
        None,
        servers[-1] if servers else None,
        int(found["status"]),
    )


FORMS: dict[str, Callable[[str], Entry | None]] = {
    "Evener's JSON": _evener,
    "HAProxy's httplog": _haproxy,
    "combined": _combined,
}


def _client(text: str) -> int:
    """An IPv4 address as its bits, anything else hashed to as many."""
    try:
        address: Any = ip_address(text.strip("[]"))
    except ValueError:
        return crc32(text.encode())
    return int(address) if address.version == 4 else crc32(address.packed)


def _key(target: str) -> int:
    return crc32(target.encode())
