"""One worker life: a process, the link to it, and all it must be told before it serves.

Rules kept here:
- Commands are written in one go and answered in order: a new worker serves as soon as it can.
- A life that cannot be brought to serve is ended here, and says why.
Not known here: why a life begins, and what follows its end.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evener.control.errors import StartError
from evener.control.frames import MAX_DESCRIPTORS, Message
from evener.control.link import Link, answer_of
from evener.control.sockets import Group, descriptors
from evener.control.worker_process import Process, Spawn

#: Seconds a worker may take from its start to its hello: an interpreter and one import.
HELLO = 10.0


@dataclass(frozen=True)
class Orders:
    """All that a new worker is told, in the order of the protocol.

    `segments` has one for each shard and one more, the prober's.
    """

    segments: Sequence[int]
    log: int | None
    tickets: Sequence[str]
    secrets: Mapping[str, str]
    groups: Sequence[Group]
    health: Sequence[Message]
    plan: Mapping[str, Any]


class Life:
    """A worker that serves. Made by `begin`."""

    def __init__(
        self,
        process: Process,
        link: Link,
        path: Path,
        hello: Message,
        on_event: Callable[[Message], None],
    ) -> None:
        self.process = process
        self.link = link
        self._path = path
        self._hello = hello
        self._on_event = on_event

    @classmethod
    async def begin(
        cls,
        spawn: Spawn,
        path: Path,
        tied: bool,
        hello: Message,
        on_event: Callable[[Message], None],
    ) -> "Life":
        """Starts a worker and greets it.

        Raises:
            StartError: it ended before it said hello.
            LinkLostError, HelloMismatchError: it said none in time, or another one.
        """
        process = spawn(path, tied)
        greeting = asyncio.ensure_future(Link.connect(str(path), hello, on_event, HELLO, HELLO))
        try:
            await first_of(greeting, process.ended)
            if not greeting.done():
                raise StartError(f"the worker {process.ended.result()} before it said hello")
            return cls(process, greeting.result(), path, hello, on_event)
        except BaseException:
            greeting.cancel()
            process.kill()
            await asyncio.gather(greeting, process.ended, return_exceptions=True)
            raise

    async def serve(self, orders: Orders) -> Message:
        """Tells it everything; returns the plan's answer once it serves.

        Raises:
            RefusedError: it refuses something; it lives on without serving.
            LinkLostError: it ended meanwhile.
        """
        link = self.link
        told = [("shards", link.start("shards", orders.segments, count=len(orders.segments) - 1))]
        if orders.log is not None:
            told.append(("log", link.start("log", [orders.log])))
        told.append(("tickets", link.start("tickets", keys=list(orders.tickets))))
        told += self._secrets(orders.secrets)
        told += self._sockets(orders.groups)
        told.append(("health", link.start("health", servers=list(orders.health))))
        told.append(("plan", link.start("plan", plan=orders.plan)))
        return await _all(told)

    async def change(
        self, secrets: Mapping[str, str], groups: Sequence[Group], plan: Mapping[str, Any]
    ) -> Message:
        """Gives it another plan, with the secrets and the new sockets it needs.

        Raises:
            RefusedError: the plan is not taken up; the old one serves on.
            LinkLostError: it ended meanwhile.
        """
        told = self._secrets(secrets) + self._sockets(groups)
        told.append(("plan", self.link.start("plan", plan=plan)))
        return await _all(told)

    async def reconnect(self) -> None:
        """Makes a new link to the same worker, after the old one was lost.

        Raises:
            LinkLostError: it does not answer.
        """
        await self.link.close()
        self.link = await Link.connect(str(self._path), self._hello, self._on_event, 0.0, 2.0)

    async def end(self) -> str:
        """Ends it at once; returns how it went."""
        self.process.kill()
        how = await self.process.ended
        await self.link.close()
        return how

    def _secrets(self, secrets: Mapping[str, str]) -> "list[_Told]":
        if not secrets:
            return []
        return [("secrets", self.link.start("secrets", secrets=dict(secrets)))]

    def _sockets(self, groups: Sequence[Group]) -> "list[_Told]":
        told = []
        every = descriptors(groups)
        for at in range(0, len(every), MAX_DESCRIPTORS):
            part = every[at : at + MAX_DESCRIPTORS]
            rows = [{"address": address, "shard": shard} for address, shard, _ in part]
            fds = [descriptor for _, _, descriptor in part]
            told.append(("sockets", self.link.start("sockets", fds, sockets=rows)))
        return told


async def first_of(*futures: "asyncio.Future[Any]") -> None:
    """Waits until one of them is done, whatever comes of it."""
    await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)


_Told = tuple[str, "asyncio.Future[Message]"]


async def _all(told: Sequence[_Told]) -> Message:
    """Waits for all answers; the last one is returned, the first error raised."""
    answers = await asyncio.gather(
        *(answer_of(future, do) for do, future in told), return_exceptions=True
    )
    failed = [answer for answer in answers if isinstance(answer, BaseException)]
    if failed:
        raise failed[0]
    return answers[-1]  # type: ignore[return-value]  # mypy does not see that none is an error
