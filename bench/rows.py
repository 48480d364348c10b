"""What is measured: one row per kind of work, with the bound it is held to (DESIGN.md §11).

Pure data. Not known here: how a row is run, and what came out of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Work(Enum):
    """The kind of load, which decides the program that makes it."""

    KEPT = "kept"  # wrk over connections that stay
    FRESH = "fresh"  # a connection (and TLS handshake) per request
    STREAM = "stream"  # one TCP connection, as many bytes as go through
    IDLE = "idle"  # connections that have asked once and wait


class Way(Enum):
    """The listener a row goes through; the value names its port variable."""

    HTTP = "BENCH_HTTP"
    HTTPS = "BENCH_HTTPS"
    TCP = "BENCH_TCP"
    STREAM = "BENCH_STREAM"


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        bound: Most that Evener may cost, as a share of the better of nginx and HAProxy.
        bound_floor: Most it may cost as a share of the bare relay; None where that says nothing.
        bound_absolute: Most it may cost in `unit`; None where only the ratio counts.
    """

    name: str
    title: str
    work: Work
    way: Way
    size: int
    connections: int
    unit: str
    bound: float | None
    bound_floor: float | None = None
    bound_absolute: float | None = None

    @property
    def tls(self) -> bool:
        """Whether the client speaks TLS."""
        return self.way is Way.HTTPS

    @property
    def has_floor(self) -> bool:
        """Whether the bare relay runs in this row: it knows neither TLS nor the TCP ports."""
        return self.way is Way.HTTP and self.work is Work.KEPT

    @property
    def path(self) -> str:
        """What is asked for."""
        return {64: "/64", 65536: "/64k"}[self.size]


REQUEST = "µs/request"
SMALL, LARGE = 64, 65536

ROWS = (
    Row("64b-c64", "64 bytes, c = 64", Work.KEPT, Way.HTTP, SMALL, 64, REQUEST, 0.87, 1.25),
    Row("64b-c1000", "64 bytes, c = 1000", Work.KEPT, Way.HTTP, SMALL, 1000, REQUEST, 0.70),
    Row("64b-c1", "64 bytes, c = 1", Work.KEPT, Way.HTTP, SMALL, 1, REQUEST, 1.0),
    Row("64k-c64", "64 KiB, c = 64", Work.KEPT, Way.HTTP, LARGE, 64, REQUEST, 0.95),
    Row(
        "tls-handshake",
        "TLS 1.3 full handshake + 1 request",
        Work.FRESH,
        Way.HTTPS,
        SMALL,
        32,
        REQUEST,
        0.60,
    ),
    Row(
        "https-64b", "HTTPS kept, 64 bytes, c = 64", Work.KEPT, Way.HTTPS, SMALL, 64, REQUEST, 0.72
    ),
    Row("https-64k", "HTTPS kept, 64 KiB, c = 64", Work.KEPT, Way.HTTPS, LARGE, 64, REQUEST, 0.60),
    Row("tcp-gib", "TCP, one stream", Work.STREAM, Way.STREAM, LARGE, 1, "ms/GiB", 0.85),
    Row(
        "tcp-short", "TCP, short connections", Work.FRESH, Way.TCP, SMALL, 64, "µs/connection", 0.85
    ),
    Row(
        "idle",
        "idle kept connection",
        Work.IDLE,
        Way.HTTP,
        SMALL,
        10_000,
        "KiB/connection",
        None,
        bound_absolute=0.3,
    ),
    Row(
        "idle-tls",
        "idle kept connection, TLS",
        Work.IDLE,
        Way.HTTPS,
        SMALL,
        10_000,
        "KiB/connection",
        1.0,
    ),
)


def chosen(names: str | None) -> list[Row]:
    """The rows named in a comma-separated list, in the table's order; all of them for None.

    Raises:
        ValueError: A name is unknown; the message lists the known ones.
    """
    if names is None:
        return list(ROWS)
    wanted = set(names.split(","))
    unknown = wanted - {row.name for row in ROWS}
    if unknown:
        known = ", ".join(row.name for row in ROWS)
        raise ValueError(f"no such row: {', '.join(sorted(unknown))}; there are {known}")
    return [row for row in ROWS if row.name in wanted]
