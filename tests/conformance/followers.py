"""Our side of a schedule that is played to a real program: the schedulers alone, or all of Evener.

Rules kept here:
- Both are asked in the same words and answer with a server's letter; `-` is nobody.
- A running Evener reaches the same servers as the program, under request numbers of its own.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
from pathlib import Path
from typing import Any

from tests.e2e.rig.instance import Evener

ROOT = Path(__file__).parents[2]
OURS = 1_000_000
"""What is added to a request's number when Evener sends it on."""


class Library:
    """The schedulers alone: `crates/evener-balance/examples/follow.rs`."""

    async def start(self, scheduler: dict[str, Any], servers: list[dict[str, Any]]) -> None:
        follow = target_folder() / "debug" / "examples" / "follow"
        pipe = subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(str(follow), stdin=pipe, stdout=pipe)
        self._tell({"scheduler": scheduler, "servers": servers})

    async def opened(self, number: int, asked: dict[str, str]) -> str:
        return await self._ask(["o", asked])

    async def ended(self, number: int) -> None:
        await self._ask(["x", number])

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
        return (await self._process.stdout.readline()).decode().strip()


class Instance:
    """A running Evener, in front of the servers of the program it is compared with."""

    def __init__(
        self, home: Path, servers: list[Any], came: asyncio.Queue[tuple[int, str]]
    ) -> None:
        self._evener = Evener(home)
        self._backends = servers
        self._came = came
        self._open: dict[int, tuple[str, asyncio.StreamWriter, asyncio.Task[bytes]]] = {}

    async def start(self, scheduler: dict[str, Any], servers: list[dict[str, Any]]) -> None:
        self._pool: dict[str, Any] = {
            "scheduler": spelled(scheduler),
            "passive": "off",
            "timeouts": {"response": "1h"},
            "servers": [
                {
                    "address": each["address"],
                    "weight": each["weight"],
                    "max_connections": each["most"] or "unlimited",
                    "admin": "ready",
                }
                for each in servers
            ],
        }
        # One shard, so that the end of a request is known before the next one is picked for.
        await asyncio.to_thread(self._evener.start, self._text(), shards=1)

    async def opened(self, number: int, asked: dict[str, str]) -> str:
        host, port = self._evener.listen.split(":")
        reader, writer = await asyncio.open_connection(
            host, int(port), local_addr=(asked["client"], 0)
        )
        head = f"GET {asked['target']} HTTP/1.1\r\nHost: h\r\nx-k: {asked['key']}\r\n"
        writer.write(f"{head}X-Op: {OURS + number}\r\nConnection: close\r\n\r\n".encode())
        came = asyncio.create_task(self._came.get())
        answer = asyncio.create_task(reader.read())
        await asyncio.wait([came, answer], return_when=asyncio.FIRST_COMPLETED, timeout=30)
        if not came.done():
            came.cancel()
            writer.close()
            return "-"
        _, letter = came.result()
        self._open[number] = (letter, writer, answer)
        return letter

    async def ended(self, number: int) -> None:
        letter, writer, answer = self._open.pop(number)
        self._backends[ord(letter) - 97].held.pop(OURS + number).set()
        await answer
        writer.close()

    async def weighs(self, server: int, weight: int) -> None:
        self._pool["servers"][server]["weight"] = weight
        await self._reload()

    async def is_out(self, server: int, out: bool) -> None:
        self._pool["servers"][server]["admin"] = "maint" if out else "ready"
        await self._reload()

    async def stop(self) -> None:
        await asyncio.to_thread(self._evener.clean_up)

    def _text(self) -> str:
        listeners = {"web": {"bind": self._evener.listen, "pool": "u"}}
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


def spelled(plan: dict[str, Any]) -> dict[str, Any]:
    """A scheduler of the plan, as the configuration writes it."""
    program, _, name = plan["name"].partition("/")
    flat = {key: value for key, value in plan.items() if key not in ("name", "hash", "ring")}
    hashed = dict(plan.get("hash") or {})
    if hashed:
        flat |= {key: hashed[key] for key in ("consistent", "function", "avalanche")}
        if hashed["balance_factor"]:
            flat["balance_factor"] = f"{hashed['balance_factor']}%"
    if program == "nginx" and name == "hash":
        flat["key"] = "query.k"
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
