"""Thousands of attackers of each class: an honest client is answered all along, they are shed."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

import pytest

from evener.telemetry.processes import process

from .rig.certificates import Authority
from .rig.instance import Evener
from .rig.programs import Webs
from .rig.waiting import eventually
from .rig.wire import Wire, get

# What an honest client waits for is measured: nothing else may run beside.
pytestmark = pytest.mark.alone

#: As many as leave room under 20,000 descriptors for as many connections to servers.
MANY = 8000
#: Those for whom the kernel holds an answer of 64 KiB each.
READERS = 2000
TIMES = "timeouts: {tls: 4s, head: 4s, body: 4s, send: 4s, idle: 5s}"
ROOT = Path(__file__).parents[2]


@contextmanager
def attackers(kind: str, address: str, count: int, rate: str = "inf") -> Iterator[int]:
    """So many of a class, connected; the bytes that they have said."""
    command = [sys.executable, "-m", "tests.e2e.rig.attackers", kind, address, str(count), rate]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as running:
        assert running.stdout is not None and running.stdin is not None
        try:
            word, said = running.stdout.readline().split()
            assert word == "ready"
            yield int(said)
        finally:
            running.stdin.close()
            running.wait(20)


def start(evener: Evener, web: str, tls: str = "", listen: str = "") -> Evener:
    return evener.start(
        f"listeners: {{web: {{bind: ['{evener.listen}'{listen}], pool: app, {TIMES}{tls}}}}}\n"
        f"pools: {{app: {{servers: ['{web}'], buffer: {{request: 64KiB}}}}}}\n",
        log={"access": "off"},
    )


def slowest(address: str, seconds: float) -> float:
    """The longest that an honest client waited, over some seconds."""
    worst, until = 0.0, time.monotonic() + seconds
    while time.monotonic() < until:
        began = time.monotonic()
        assert get(address, "/small").status == 200
        worst = max(worst, time.monotonic() - began)
    return worst


CLASSES = [
    ("slow_heads", MANY),
    ("slow_bodies", MANY),
    ("tiny_chunks", MANY),
    ("slow_readers", READERS),
    ("idle_hoard", MANY),
    ("silent", MANY),
    ("half_closed", MANY),
    ("half_closed_heads", MANY),
    ("header_flood", MANY),
    ("pipelined", READERS),
]


@pytest.mark.parametrize(("kind", "count"), CLASSES)
def test_beside_thousands_of_attackers_an_honest_client_is_answered_and_they_are_shed(
    evener: Evener, webs: Callable[..., Webs], kind: str, count: int
) -> None:
    start(evener, webs("a")["a"])
    with attackers(kind, evener.listen, count):
        assert slowest(evener.listen, 3) < 1
        eventually(
            lambda: evener.metrics().value("evener_listener_open_connections") <= 1,
            30,
            f"all {kind} are shed",
        )
    assert evener.status()["worker"]["deaths"] == 0


def test_beside_those_who_connect_and_leave_an_honest_client_is_answered(
    evener: Evener, webs: Callable[..., Webs]
) -> None:
    start(evener, webs("a")["a"])
    with attackers("leavers", evener.listen, 0):
        assert slowest(evener.listen, 3) < 1
    evener.until_counts(0, "evener_listener_open_connections")


@pytest.mark.parametrize("kind", ["stalled_tls", "dripping_tls", "silent"])
def test_handshakes_that_stall_are_shed_and_others_are_made(
    evener: Evener, webs: Callable[..., Webs], authority: Authority, kind: str
) -> None:
    start(evener, webs("a")["a"], f", tls: '{authority.issue('web.test')}'")
    tls = authority.client()
    with attackers(kind, evener.listen, MANY):
        worst, until = 0.0, time.monotonic() + 3
        while time.monotonic() < until:
            began = time.monotonic()
            with Wire(evener.listen, tls, "web.test") as wire:
                assert wire.ask("/small").status == 200
            worst = max(worst, time.monotonic() - began)
        assert worst < 1
        eventually(lambda: evener.metrics().value("evener_listener_open_connections") <= 1, 20)


def test_slow_heads_over_a_unix_socket_are_shed_too(
    evener: Evener, webs: Callable[..., Webs]
) -> None:
    unix = f"unix:{evener.directory}/web.sock"
    start(evener, webs("a")["a"], listen=f", '{unix}'")
    with attackers("slow_heads", unix, 3000):
        assert slowest(evener.listen, 2) < 1
        eventually(lambda: evener.metrics().value("evener_listener_open_connections") <= 1, 20)


#: What a connection may cost beside ten times its bytes: 24 KiB with a request in hand, 64 KiB with
#: TLS. What is held of answers that are not taken has a budget of its own.
COSTS = ["slow_heads", "slow_bodies", "tiny_chunks", "header_flood", "silent", "idle_hoard"]


def resident(evener: Evener) -> int:
    seen = process("worker", evener.worker)
    assert seen is not None
    return seen["resident_bytes"]


@pytest.mark.parametrize("kind", COSTS)
def test_no_class_costs_more_memory_than_its_budget(
    evener: Evener, webs: Callable[..., Webs], kind: str
) -> None:
    start(evener, webs("a")["a"])
    assert get(evener.listen, "/small").status == 200
    before, count = resident(evener), 4000
    with attackers(kind, evener.listen, count) as said:
        grown = resident(evener) - before
        assert grown <= count * 24 * 1024 + 10 * said, f"{grown / count / 1024:.1f} KiB each"


@pytest.mark.parametrize("kind", [*COSTS, "pipelined"])
def test_no_class_costs_more_memory_than_its_budget_with_tls(
    evener: Evener, webs: Callable[..., Webs], authority: Authority, kind: str
) -> None:
    start(evener, webs("a")["a"], f", tls: '{authority.issue('web.test')}'")
    with Wire(evener.listen, authority.client(), "web.test") as wire:
        assert wire.ask("/small").status == 200
    before, count = resident(evener), 1000
    with attackers(kind, f"tls:{evener.listen}", count) as said:
        grown = resident(evener) - before
        assert grown <= count * 64 * 1024 + 10 * said, f"{grown / count / 1024:.1f} KiB each"


#: What all clients together that do not take their answers may have of a shard, in bytes, and what
#: each costs beside.
ROOM, EACH = 64 << 20, 40 << 10


class Asking(threading.Thread):
    """An honest client that asks all along, from before the attackers come."""

    def __init__(self, ask: Callable[[], int]) -> None:
        super().__init__()
        self._ask, self._over = ask, threading.Event()
        self.worst, self.failed = 0.0, 0

    def run(self) -> None:
        while not self._over.wait(0.02):
            began = time.monotonic()
            try:
                self.failed += self._ask() != 200
            except (OSError, EOFError, AssertionError):
                self.failed += 1
            self.worst = max(self.worst, time.monotonic() - began)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()


@pytest.mark.parametrize(("tls", "count"), [(False, 4000), (True, 1000)])
def test_thousands_who_do_not_take_large_answers_are_shed_and_cost_what_they_may(
    evener: Evener, webs: Callable[..., Webs], authority: Authority, tls: bool, count: int
) -> None:
    listener = f", tls: '{authority.issue('web.test')}'" if tls else ""
    # The honest one asks a server of its own: the other copies 250 MiB a second into memory that a
    # virtual machine may see for the first time, and is then at its own end for a second.
    evener.start(
        f"listeners: {{web: {{bind: '{evener.listen}'{listener}, pool: large,"
        " timeouts: {send: 9s}, routes: [{match: {path: /small}, pool: app}]}}\n"
        f"pools: {{app: ['{webs('a')['a']}'], large: ['{webs('b', large=True)['b']}']}}\n",
        log={"access": "off"},
        shards=1,
    )
    context = authority.client() if tls else None

    def ask() -> int:
        with Wire(evener.listen, context, "web.test" if tls else None) as wire:
            return wire.ask("/small").status

    assert ask() == 200
    before, peak = resident(evener), 0
    address = f"tls:{evener.listen}" if tls else evener.listen
    # A thousand come a second, as slowhttptest has it: they share the cores with whom they attack.
    with Asking(ask) as honest, attackers("slow_pipelined_readers", address, count, "1000"):
        # Whoever has taken more than `min_rate` asks for at first goes by `timeouts.send`.
        until = time.monotonic() + 40
        while (left := evener.metrics().value("evener_listener_open_connections")) > count / 20:
            peak = max(peak, resident(evener) - before)
            assert time.monotonic() < until, f"{left:.0f} of {count} are not shed"
    assert (honest.failed, honest.worst < 1) == (0, True), f"{honest.worst:.1f} s"
    most = ROOM + count * (EACH + (64 << 10 if tls else 0))
    assert peak <= most, f"{peak >> 20} MiB of {most >> 20}"


def cpu(evener: Evener) -> float:
    fields = Path(f"/proc/{evener.worker}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def flood(address: str, piece: bytes, seconds: float) -> int:
    """Sends the same request over and over on eight connections, reading what comes; bytes sent."""
    from .rig.wire import connect

    sent, until = 0, time.monotonic() + seconds
    with ExitStack() as ends:
        socks = [ends.enter_context(connect(address)) for _ in range(8)]
        while time.monotonic() < until:
            for sock in socks:
                sock.sendall(piece)
                sent += len(piece)
            for sock in socks:
                sock.recv(1 << 20)
    return sent


FLOODS = {
    "many fields": b"GET /s HTTP/1.1\r\nHost: a\r\n"
    + b"".join(b"X%d:1\r\n" % at for at in range(95))
    + b"\r\n",
    "tiny chunks": b"POST /s HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    + b"1\r\nx\r\n" * 2000
    + b"0\r\n\r\n",
    "a long path": b"GET /" + b"%41/" * 1000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    "many cookies": b"GET /s HTTP/1.1\r\nHost: a\r\nCookie: "
    + b"; ".join(b"a%d=b" % at for at in range(500))
    + b"\r\n\r\n",
    "many forwarded": b"GET /s HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: "
    + b", ".join([b"10.0.0.1"] * 500)
    + b"\r\n\r\n",
}


@pytest.mark.parametrize("kind", FLOODS)
def test_no_class_costs_more_cpu_a_byte_than_ten_plain_requests(
    evener: Evener, webs: Callable[..., Webs], kind: str
) -> None:
    evener.start(
        f"listeners: {{web: {{bind: '{evener.listen}', trusted_proxies: [10.0.0.0/8, 127.0.0.0/8], "
        f"pool: app}}}}\npools: {{app: ['{webs('a')['a']}']}}\n",
        log={"access": "off"},
    )

    def a_byte(piece: bytes) -> float:
        before = cpu(evener)
        sent = flood(evener.listen, piece, 1)
        return (cpu(evener) - before) / sent

    plain = a_byte(HEAD_OF_A_BROWSER)
    assert a_byte(FLOODS[kind]) <= 10 * plain


HEAD_OF_A_BROWSER = (
    b"GET /small HTTP/1.1\r\nHost: a.test\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n"
    b"Accept: text/html,application/xhtml+xml\r\nAccept-Encoding: gzip, br\r\n\r\n"
)
