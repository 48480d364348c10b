"""The checking client: it knows what it asked, and counts everything that is not the answer.

Rules kept here:
- Each request asks for a target of its own; the answer must be 200 and name that target, and on
  one connection answers come in the order of the questions, pipelined ones too.
- Every deviation is counted under its cause; nothing is retried.
- A connection that the other side announced to close (`Connection: close`), or closed while
  nothing was asked on it, cost no answer: a new one is made.

Servers must answer `NAME TARGET` (rig.origin, rig.programs.Webs).
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import ssl
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

from .wire import PATIENCE

#: Seconds a connection rests between two volleys, so that the load leaves room for what is tested.
PACE = 0.002


@dataclass
class Account:
    """What came of it.

    Attributes:
        answered: Requests that got their very answer.
        anomalies: All else, by cause.
        servers: Answers by the name of the server that gave them.
        last: When each server answered last (time.monotonic).
        longest: Seconds of the longest gap between two answers, of all connections together.
    """

    answered: int = 0
    anomalies: Counter[str] = field(default_factory=Counter)
    servers: Counter[str] = field(default_factory=Counter)
    first: dict[str, float] = field(default_factory=dict)
    last: dict[str, float] = field(default_factory=dict)
    longest: float = 0.0
    at: float = 0.0

    def note(self, server: str) -> None:
        """A right answer."""
        now = time.monotonic()
        if self.at:
            self.longest = max(self.longest, now - self.at)
        self.at = now
        self.answered += 1
        self.servers[server] += 1
        self.first.setdefault(server, now)
        self.last[server] = now


class CheckingClient:
    """So many connections that ask and check, in a thread of its own.

    Args:
        address: HOST:PORT.
        connections: How many at once.
        pipeline: Questions sent at once on each.
        per_connection: Questions after which a connection is closed and made anew.
        tls: Shakes hands first.
        name: The SNI.
    """

    def __init__(
        self,
        address: str,
        connections: int = 8,
        pipeline: int = 1,
        per_connection: int = 1_000_000,
        tls: ssl.SSLContext | None = None,
        name: str | None = None,
    ) -> None:
        host, _, port = address.rpartition(":")
        self._host, self._port = host, int(port)
        self._connections, self._pipeline = connections, pipeline
        self._per_connection = per_connection
        self._tls, self._name = tls, name
        self._ids = itertools.count(1)
        self._stop = threading.Event()
        self.account = Account()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._all()), daemon=True)

    def __enter__(self) -> CheckingClient:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> Account:
        """Lets each connection end its volley; the account."""
        self._stop.set()
        self._thread.join(PATIENCE * 2)
        assert not self._thread.is_alive(), "the checking client hangs"
        return self.account

    async def _all(self) -> None:
        await asyncio.gather(*(self._one() for _ in range(self._connections)))

    async def _one(self) -> None:
        while not self._stop.is_set():
            try:
                reader, writer = await asyncio.wait_for(
                    asyncio.open_connection(
                        self._host, self._port, ssl=self._tls, server_hostname=self._name
                    ),
                    PATIENCE,
                )
            except ConnectionRefusedError:
                self.account.anomalies["refused"] += 1
                await asyncio.sleep(PACE)
                continue
            except (OSError, TimeoutError) as error:
                self.account.anomalies[f"connect: {type(error).__name__}"] += 1
                await asyncio.sleep(PACE)
                continue
            try:
                await self._talk(reader, writer)
            finally:
                writer.close()
                with contextlib.suppress(OSError, TimeoutError):
                    await asyncio.wait_for(writer.wait_closed(), PATIENCE)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = 0
        while asked < self._per_connection and not self._stop.is_set():
            if reader.at_eof():  # it ended while nothing was asked: that costs no answer
                return
            targets = [f"/{next(self._ids)}" for _ in range(self._pipeline)]
            asked += len(targets)
            writer.write(b"".join(_question(target) for target in targets))
            for index, target in enumerate(targets):
                try:
                    goes_on = await asyncio.wait_for(self._check(reader, target), PATIENCE)
                except (OSError, asyncio.IncompleteReadError, TimeoutError, ValueError) as error:
                    self.account.anomalies[type(error).__name__] += len(targets) - index
                    return
                if not goes_on:
                    # Pipelined questions behind an announced close are unanswered by protocol.
                    return
            await asyncio.sleep(PACE)

    async def _check(self, reader: asyncio.StreamReader, target: str) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        line, *lines = head.split("\r\n")
        fields = dict(one.split(": ", 1) for one in lines if one)
        if "content-length" not in fields:
            self.account.anomalies["no length"] += 1
            return False
        body = await reader.readexactly(int(fields["content-length"]))
        status = line.split(" ")[1]
        server, _, named = body.decode("latin-1").strip().partition(" ")
        if status != "200":
            self.account.anomalies[f"status {status}"] += 1
        elif named != target:
            self.account.anomalies["wrong body"] += 1
        else:
            self.account.note(server)
        return fields.get("connection") != "close"


def _question(target: str) -> bytes:
    return f"GET {target} HTTP/1.1\r\nHost: check.example\r\n\r\n".encode()
