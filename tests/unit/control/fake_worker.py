"""A worker that speaks the control protocol by a script, in this process.

Its "process" ends when a test says so; its descriptors are real, so that what was handed over
can be looked at.
"""

import asyncio
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from evener.control.frames import Decoder, Message, encode

HELLO: Message = {"protocol": 1, "build": "test", "schema": "s", "layout": "l"}


def facts(pool: str, server: dict[str, Any], state: str = "up", reason: str = "") -> Message:
    """FACTS of a server of a plan."""
    return {
        "pool": pool,
        "server": server["id"],
        "address": server["address"],
        "weight": server["weight"],
        "tier": server["tier"],
        "admin": server["admin"],
        "health": "up" if state == "up" else "down",
        "ejected_until": 0,
        "changed": 1_000,
        "state": state,
        "reason": reason,
        "in_flight": 0,
        "check": None,
    }


class FakeWorker:
    """One life. `process` is what the supervisor holds of it."""

    def __init__(self, path: Path, script: "Script") -> None:
        self._script = script
        self._connections: list[socket.socket] = []
        self._tasks: list[asyncio.Task[None]] = []
        self.pid = os.getpid()
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.hello = script.hello
        self.heard: list[Message] = []
        self.descriptors: list[int] = []
        self.plan: Message = {"generation": 0, "pools": []}
        self.health: dict[tuple[str, str], Message] = {}
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.setblocking(False)
        self._listener.bind(str(path))
        self._listener.listen()
        self._tasks.append(asyncio.create_task(self._accept()))

    def kill(self) -> None:
        """As SIGKILL does."""
        self.die("was ended by SIGKILL")

    def die(self, how: str = "was ended by SIGSEGV") -> None:
        """Ends at once; the kernel closes what it held."""
        if self.ended.done():
            return
        for task in self._tasks:
            task.cancel()
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._listener)
        self.cut_links()
        if self._script.lingers:
            loop.call_later(self._script.lingers, self._listener.close)
        else:
            self._listener.close()
        for descriptor in self.descriptors:
            os.close(descriptor)
        self.descriptors.clear()
        self.ended.set_result(how)

    def cut_links(self) -> None:
        """Ends the control connections only."""
        for connection in self._connections:
            asyncio.get_running_loop().remove_reader(connection)
            connection.close()
        self._connections.clear()

    def say(self, event: str, **fields: Any) -> None:
        """Says something by itself."""
        self._send({"event": event, **fields})

    def told(self, do: str) -> list[Message]:
        """The commands of this name that it heard."""
        return [message for message in self.heard if message.get("do") == do]

    def _send(self, message: Message) -> None:
        connection, frame = self._connections[-1], encode(message)
        sent = connection.send(frame)
        if sent < len(frame):
            rest = asyncio.get_running_loop().sock_sendall(connection, frame[sent:])
            self._tasks.append(asyncio.create_task(rest))

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            connection, _ = await loop.sock_accept(self._listener)
            self._connections.append(connection)
            self._tasks.append(asyncio.create_task(self._converse(connection)))

    async def _converse(self, connection: socket.socket) -> None:
        try:
            await self._answer_all(connection)
        except ConnectionError:
            return  # the supervisor went first
        except Exception as error:
            self.die(f"broke: {error!r}")
            raise

    async def _answer_all(self, connection: socket.socket) -> None:
        decoder, waiting = Decoder(), list[int]()
        connection.send(encode({"hello": self.hello}))
        while piece := await _receive(connection, waiting):
            for message, descriptors in decoder.feed(piece):
                mine, waiting[:descriptors] = waiting[:descriptors], []
                self.descriptors += mine
                self.heard.append(message)
                self._obey(message, mine)
                if self.ended.done():
                    return

    def _obey(self, message: Message, descriptors: list[int]) -> None:
        do = message.get("do")
        if do is None or do in self._script.silent:
            return
        if errors := self._script.refuse.get(do):
            self._send({"re": message["id"], "errors": errors})
            return
        if do in self._script.deadly and self._script.deadly[do](message):
            self.die()
            return
        answer: Message | None = getattr(self, f"_do_{do}", lambda _: {})(message)
        if do == "sockets":
            assert len(message["sockets"]) == len(descriptors)
        if answer is not None:
            self._send({"re": message["id"], "ok": answer})

    def _do_health(self, message: Message) -> Message:
        self.health = {(each["pool"], each["server"]): each for each in message["servers"]}
        return {}

    def _do_plan(self, message: Message) -> Message:
        self.plan = message["plan"]
        now = {
            (pool["name"], server["id"]): facts(pool["name"], server)
            for pool in self.plan["pools"]
            for server in pool["servers"]
        }
        for key, each in now.items():
            if key in self.health:
                now[key] = {**self.health[key], "admin": each["admin"]}
        self.health = now
        generation = self.plan["generation"]
        return {"generation": generation, "build_ms": 1, "kept": 0, "added": len(now), "removed": 0}

    def _do_facts(self, _: Message) -> Message:
        return {"servers": list(self.health.values())}

    def _do_admin(self, message: Message) -> Message:
        key = message["pool"], message["server"]
        self.health[key] = {**self.health[key], "admin": message["admin"]}
        return self.health[key]

    def _do_status(self, _: Message) -> Message:
        return {
            "generation": self.plan["generation"],
            "uptime_ms": 5,
            "servers": list(self.health.values()),
            "connections": 0,
            "in_flight": 0,
            "parked": 0,
            "draining": False,
        }

    def _do_drain(self, message: Message) -> None:
        self._send({"re": message["id"], "ok": {}})
        if "drained" not in self._script.silent:
            self.say("drained", cut=self._script.cut)
            self.die("ended with exit code 0")

    def _do_stop(self, _: Message) -> None:
        self.die("ended with exit code 0")


class Script:
    """How the workers of a test behave; give `spawn` to the supervisor."""

    def __init__(self) -> None:
        self.hello = HELLO
        self.refuse: dict[str, list[str]] = {}
        self.silent: set[str] = set()
        self.deadly: dict[str, Callable[[Message], bool]] = {}
        self.cut = 0
        #: Seconds between the end of its links and that of its listener.
        self.lingers = 0.0
        self.stillborn = False
        self.lives: list[FakeWorker] = []

    def spawn(self, path: Path, tied: bool) -> FakeWorker:
        """As worker_process.spawn."""
        self.lives.append(FakeWorker(path, self))
        if self.stillborn:
            self.lives[-1].die("ended with exit code 1")
        return self.lives[-1]

    @property
    def worker(self) -> FakeWorker:
        """The one that lives now, or lived last."""
        return self.lives[-1]


async def _receive(connection: socket.socket, waiting: list[int]) -> bytes:
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(connection, readable.set)
    await readable.wait()
    loop.remove_reader(connection)
    piece, descriptors, _, _ = socket.recv_fds(connection, 1 << 16, 253)
    waiting += descriptors
    return piece
