"""Our side of a schedule that is played to a real program: the schedulers alone, or all of Evener.

Rules kept here:
- Both are asked in the same words and answer with a server's letter; `-` is nobody.
- A running Evener reaches the same servers as the program, under request numbers of its own.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.conformance.peers.cases import Case
from tests.conformance.peers.programs import WITHIN
from tests.e2e.rig.instance import Evener

ROOT = Path(__file__).parents[3]
OURS = 1_000_000
"""What is added to a request's number when Evener sends it on."""


async def first_of(*tasks: asyncio.Task[Any]) -> None:
    """Waits until one is done, or for a minute in which this process ran."""
    for _ in range(6):
        # A machine that stands still for an hour lets one of these time out, not all.
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED, timeout=10)
        if done:
            return


@dataclass(frozen=True)
class Asked:
    """A request, or a session of a remote desktop, from a client."""

    client: str
    key: str
    is_session: bool = False

    def sent(self, number: int) -> bytes:
        """Its bytes; `number` is what the server tells it by."""
        if self.is_session:
            return f"{self.cookie}X-Op: {number}\r\n\r\n".encode("latin-1")
        head = f"GET {self.target} HTTP/1.1\r\nHost: h\r\nx-k: {self.key}\r\nX-Op: {number}\r\n"
        return f"{head}Connection: close\r\n\r\n".encode()

    @property
    def target(self) -> str:
        return f"/{self.key}/x?k={self.key}"

    @property
    def cookie(self) -> str:
        """TPKT and X.224 heads of a session's first packet, and its cookie."""
        return f"\x03\0\0\x2c\x27\xe0\0\0\0\0\0Cookie: mstshash={self.key}\r\n"

    def told(self) -> dict[str, str]:
        """The same for the schedulers alone."""
        said = {"client": self.client, "key": self.key}
        if self.is_session:
            return {**said, "payload": self.cookie}
        return {**said, "target": self.target, "header": self.key}


@dataclass
class Seat:
    """A server of a pool."""

    address: str
    weight: int
    most: int
    tier: int
    is_out: bool


class Library:
    """The schedulers alone: `crates/evener-balance/examples/follow.rs`."""

    async def start(self, case: Case, seats: list[Seat]) -> None:
        follow = target_folder() / "debug" / "examples" / "follow"
        pipe = subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(str(follow), stdin=pipe, stdout=pipe)
        servers = [asdict(seat) for seat in seats]
        counted = passive(case, lambda seconds: seconds * 1000)
        self._tell({"scheduler": case.scheduler, "servers": servers, "passive": counted})

    async def opened(self, number: int, asked: Asked) -> str:
        return await self._ask(["o", asked.told()])

    async def ended(self, number: int, *, works: bool) -> None:
        await self._ask(["x", number, works])

    async def wait(self, seconds: int) -> None:
        await self._ask(["t", seconds * 1000])

    async def weighs(self, server: int, weight: int) -> None:
        await self._ask(["w", server, weight])

    async def is_out(self, server: int, out: bool) -> None:
        await self._ask(["m", server, out])

    async def stop(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()

    def _tell(self, what: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(what).encode() + b"\n")

    async def _ask(self, what: object) -> str:
        self._tell(what)
        assert self._process.stdout is not None
        said = (await self._process.stdout.readline()).decode().strip()
        if not said:
            raise RuntimeError(f"the schedulers ended at {what}")
        return said


class Instance:
    """A running Evener, in front of the servers of the program it is compared with."""

    def __init__(
        self, home: Path, servers: list[Any], came: asyncio.Queue[tuple[int, str]]
    ) -> None:
        self._evener = Evener(home)
        self._backends = servers
        self._came = came
        self._open: dict[int, tuple[str, asyncio.StreamWriter, asyncio.Task[bytes]]] = {}

    async def start(self, case: Case, seats: list[Seat]) -> None:
        self._listener = {"bind": self._evener.listen, "pool": "u"}
        self._pool: dict[str, Any] = {
            "scheduler": spelled(case.scheduler),
            "passive": passive(case, lambda seconds: f"{seconds}s") or "off",
            "servers": [
                {
                    "address": seat.address,
                    "weight": seat.weight,
                    "max_connections": seat.most or "unlimited",
                    "tier": seat.tier,
                    "admin": "maint" if seat.is_out else "ready",
                }
                for seat in seats
            ],
        }
        if case.tcp:
            self._listener["protocol"] = "tcp"
        else:
            self._pool |= {"timeouts": {"response": "1h"}, "retry": {"attempts": 1}}
        # One shard, so that the end of a request is known before the next one is picked for.
        await asyncio.to_thread(self._evener.start, self._text(), shards=1)

    async def opened(self, number: int, asked: Asked) -> str:
        host, port = self._evener.listen.split(":")
        reader, writer = await asyncio.open_connection(
            host, int(port), local_addr=(asked.client, 0)
        )
        writer.write(asked.sent(OURS + number))
        came = asyncio.create_task(self._came.get())
        answer = asyncio.create_task(reader.read())
        await first_of(came, answer)
        if not came.done():
            came.cancel()
            writer.close()
            return "-"
        _, letter = came.result()
        self._open[number] = (letter, writer, answer)
        return letter

    async def ended(self, number: int, *, works: bool) -> None:
        letter, writer, answer = self._open.pop(number)
        self._backends[ord(letter) - 97].release(OURS + number, answers=works)
        await answer
        writer.close()

    async def wait(self, seconds: int) -> None:
        await asyncio.sleep(seconds + 0.05)

    async def weighs(self, server: int, weight: int) -> None:
        self._pool["servers"][server]["weight"] = weight
        await self._reload()

    async def is_out(self, server: int, out: bool) -> None:
        self._pool["servers"][server]["admin"] = "maint" if out else "ready"
        await self._reload()

    async def stop(self) -> None:
        await asyncio.to_thread(self._evener.clean_up)

    def _text(self) -> str:
        listeners = {"web": self._listener}
        return f"listeners: {json.dumps(listeners)}\npools: {json.dumps({'u': self._pool})}\n"

    async def _reload(self) -> None:
        self._evener.write(self._text())
        socket = str(self._evener.run / "admin.sock")
        reader, writer = await asyncio.open_unix_connection(socket)
        writer.write(b"POST /v1/reload HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        said = await reader.read()
        writer.close()
        if not said.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"Evener to a reload: {said.decode()}")


def passive(case: Case, time_of: Callable[[int], int | str]) -> dict[str, Any] | None:
    """How failures are counted as nginx does it; `time_of` writes seconds."""
    if not case.fails:
        return None
    # nginx counts whole seconds, and a server stays out for more than its fail_timeout.
    within, out = time_of(WITHIN), time_of(WITHIN + 1)
    return {"fails": case.fails, "within": within, "out": out, "readmit": "request"}


def spelled(plan: dict[str, Any]) -> dict[str, Any]:
    """A scheduler of the plan, as the configuration writes it."""
    program, _, name = plan["name"].partition("/")
    flat = {key: value for key, value in plan.items() if key not in ("name", "hash", "ring")}
    hashed = dict(plan.get("hash") or {})
    if hashed:
        flat |= {key: hashed[key] for key in ("consistent", "function", "avalanche")}
        if hashed["balance_factor"]:
            flat["balance_factor"] = f"{hashed['balance_factor']}%"
    if name == "hash":
        flat["key"] = "query.k" if program == "nginx" else "header.x-k"
    if "wait" in flat:
        flat["wait"] = f"{flat['wait']}ms"
    for key in ("len", "depth"):
        if flat.get(key) == 0:
            flat[key] = "all"
    return {"name": name, "as": program, **flat}


def build_library() -> None:
    """The library's half, in the development profile."""
    build = ["cargo", "build", "--quiet", "-p", "evener-balance", "--example", "follow"]
    subprocess.run(build, cwd=ROOT, check=True)


def target_folder() -> Path:
    """Where cargo puts what it builds."""
    command = ["cargo", "metadata", "--format-version=1", "--no-deps", "--offline"]
    found = subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return Path(json.loads(found.stdout)["target_directory"])
