"""Workers that an earlier supervisor of this instance left behind when it died.

Rules kept here (PROCESS.md, "supervisor starts and finds a worker", its second half):
- They serve until a new worker does; then they drain, and nobody is refused in between.
- Their health is copied, so that the new worker knows what they knew.
- One of another build drains as well: that much every build understands.
- One that listens and says nothing hangs: it is ended once the new worker serves.
Not known here: how a new worker is started.
"""

import contextlib
import os
import signal

from evener.control import logs
from evener.control.errors import LinkLostError, RefusedError
from evener.control.finding import worker_at
from evener.control.frames import Message
from evener.control.instance import RunDirectory
from evener.control.link import Link

LOG = logs.LOG

#: Seconds a worker that listens may take to say hello.
HELLO = 2.0


class Predecessors:
    """The workers found: those that answer with their links, those that hang with their ids."""

    def __init__(self, links: list[Link], hung: list[int], highest: int) -> None:
        self._links = links
        self._hung = hung
        #: The highest number a worker's socket has, so that no new one takes its path.
        self.highest = highest

    @classmethod
    async def find(cls, run: RunDirectory, hello: Message) -> "Predecessors":
        """Greets every worker that still listens in the run directory."""
        links, hung, highest = [], [], 0
        for number, path in run.worker_sockets():
            highest = max(highest, number)
            worker = worker_at(path)
            try:
                link = await Link.connect(str(path), hello, _ignore, 0.0, HELLO, any_build=True)
                links.append(link)
            except LinkLostError:
                if worker:
                    hung.append(worker)
                else:
                    path.unlink(missing_ok=True)
        return cls(links, hung, highest)

    def __bool__(self) -> bool:
        return bool(self._links or self._hung)

    async def health(self) -> list[Message]:
        """What they know of servers."""
        found: list[Message] = []
        for link in self._links:
            try:
                found += (await link.call("facts"))["servers"]
            except (LinkLostError, RefusedError) as error:
                LOG.warning("an earlier worker does not tell its health: %s", error)
        return found

    async def drain(self, requests: int, tunnels: int) -> None:
        """Tells them to finish, and lets go of them; each that does not hang ends by itself."""
        for worker in self._hung:
            LOG.warning("an earlier worker (pid %d) does not answer; it is ended", worker)
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)
        for link in self._links:
            try:
                await link.call("drain", requests_ms=requests, tunnels_ms=tunnels)
                LOG.info("an earlier worker was found; it finishes what it has in hand")
            except (LinkLostError, RefusedError) as error:
                LOG.warning("an earlier worker cannot be told to drain: %s", error)
        await self.aclose()

    async def aclose(self) -> None:
        """Lets go of them; whoever was not told to drain serves on."""
        for link in self._links:
            await link.close()
        self._links = []


def _ignore(_event: Message) -> None:
    """What an earlier worker says by itself is no longer anybody's business."""
