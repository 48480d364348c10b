"""A supervisor with a scripted worker and a configuration made of a few lines."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from evener.compile import Compiled, Secret, Settings, Socket
from evener.control.errors import ConfigRefusedError
from evener.control.supervisor import Means, Supervisor

from .fake_worker import HELLO, Script

SETTINGS = Settings(
    run=None,
    state=None,
    shards=2,
    admin=None,
    drain_requests=1000,
    drain_tunnels=3_600_000,
    log_level="info",
    log_to="stderr",
    access_to=None,
    metrics=None,
)


def bind(
    address: str, mode: int = 0o660, group: str | None = None, optional: bool = False
) -> Socket:
    """A socket to listen on."""
    return Socket(address, "web", mode, group, optional)


def server(name: str, admin: str = "ready", address: str = "") -> dict[str, Any]:
    """A server of a plan."""
    return {"id": name, "address": address or name, "weight": 1, "tier": 0, "admin": admin}


@dataclass
class FakeLoaded:
    """A configuration with one listener and one pool, `app`."""

    settings: Settings
    binds: tuple[Socket, ...]
    servers: list[dict[str, Any]]
    hosts: frozenset[str] = frozenset()
    secrets: dict[str, Secret] = field(default_factory=dict)

    def names(self) -> frozenset[str]:
        return self.hosts

    def compile(self, addresses: Mapping[str, tuple[str, ...]]) -> Compiled:
        found = [
            server(f"{name}:80@{one}:80", address=f"{one}:80")
            for name in sorted(self.hosts)
            for one in addresses.get(name, ())
        ]
        plan = {
            "generation": 0,
            "connections": 1000,
            "drain": {"requests": 1000, "tunnels": 3600_000},
            "access_log": {"format": "off", "sample": 1.0},
            "listeners": [
                {
                    "name": "web",
                    "bind": [each.address for each in self.binds],
                    "protocol": "http",
                    "pool": "app",
                    "routes": [],
                    "redirect": None,
                    "connections": None,
                }
            ],
            "pools": [
                {
                    "name": "app",
                    "tls": None,
                    "scheduler": {"name": "nginx/round_robin"},
                    "key": None,
                    "checks": [],
                    "passive": {"fails": 1, "within": 10_000, "out": 10_000, "readmit": "tcp"},
                    "servers": [dict(one) for one in self.servers] + found,
                }
            ],
        }
        return Compiled(plan, self.secrets, self.binds, tuple(self.hosts), self.settings, ())

    def place(self, *path: str) -> str:
        return f"evener.yaml:{len(path)}:1"

    def text(self, resolved: bool) -> str:
        return "resolved\n" if resolved else "as written\n"


class FakeSource:
    """A file that a test edits by setting attributes."""

    def __init__(self, tmp: Path) -> None:
        self.path = str(tmp / "evener.yaml")
        self.settings = SETTINGS._replace(state=str(tmp / "state"))
        self.binds: tuple[Socket, ...] = (bind("127.0.0.1:0"),)
        self.servers = [server("10.0.0.1:80"), server("10.0.0.2:80")]
        self.hosts: frozenset[str] = frozenset()
        self.wrong: list[str] = []
        self.loads = 0

    def load(self) -> FakeLoaded:
        self.loads += 1
        if self.wrong:
            raise ConfigRefusedError(self.wrong)
        return FakeLoaded(self.settings, self.binds, self.servers, self.hosts)


class FakeCounters:
    """Counters that a test sets."""

    numbers: ClassVar[dict[str, Any]] = {}
    page: ClassVar = ""
    turn: ClassVar = 0
    still: ClassVar = False

    def __init__(self, living: Sequence[int], retired: Sequence[int]) -> None:
        self.living, self.retired = list(living), list(retired)

    def stamps(self) -> list[int]:
        if not FakeCounters.still:
            FakeCounters.turn += 1
        return [FakeCounters.turn for _ in self.living]

    def totals(self) -> str:
        return json.dumps(self.numbers)

    def prometheus(self, facts: dict[str, Any]) -> str:
        return self.page


class Scene:
    """The pieces of a test."""

    def __init__(self, tmp: Path) -> None:
        self.run = tmp / "run"
        self.source = FakeSource(tmp)
        self.script = Script()

    def supervisor(self, tied: bool = False) -> Supervisor:
        """A supervisor over them, not started; `tied` as `evener quick` has it."""
        means = Means(HELLO, FakeCounters, spawn=self.script.spawn, run=self.run, tied=tied)
        return Supervisor(self.source, means)

    @contextlib.asynccontextmanager
    async def serving(self, tied: bool = False) -> AsyncIterator[Supervisor]:
        """A started supervisor whose duties run; it is stopped at the end."""
        supervisor = self.supervisor(tied)
        await supervisor.start()
        running = asyncio.create_task(supervisor.run())
        try:
            yield supervisor
        finally:
            supervisor.ask_stop()
            supervisor.ask_stop()
            await running


async def until(condition: Callable[[], object]) -> None:
    """Turns the loop until something has come about; two seconds at most."""
    end = time.monotonic() + 2.0
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        await asyncio.sleep(0.001)
