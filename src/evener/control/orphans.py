"""End workers whose supervisor died, at a person's word.

Rules kept here (PROCESS.md, "stop"):
- As at every stop: they accept what waits, close the doors, and requests in hand have their time.
- The run directory is held meanwhile, so that no supervisor starts beside it.
- A worker of another build drains as well: that much every build understands.
Not known here: how they were found (`finding`).
"""

import asyncio
import contextlib
import os
import signal
from pathlib import Path

from evener.control.errors import LinkLostError, RefusedError
from evener.control.finding import worker_at
from evener.control.frames import Message
from evener.control.instance import RunDirectory, admin_of
from evener.control.link import Link
from evener.control.predecessors import HELLO

#: Seconds beyond the drain's own bound that a worker may take to end, and after being told to end
#: at once, or between its last word and the end of its sockets.
SLACK, ENDING = 5.0, 1.0
#: Seconds between two looks at whether it is gone.
LOOK = 0.005


def end(path: Path, hello: Message, requests: int, now: bool) -> int:
    """Ends all workers in a run directory; returns how many connections time cut.

    Args:
        path: The run directory.
        hello: What this build says to workers.
        requests: Milliseconds for what is in hand.
        now: Whether they are to end at once instead.

    Raises:
        InstanceError: a supervisor has started there meanwhile, or it is another user's.
    """
    directory = RunDirectory.take(path)
    directory.admin_socket = admin_of(path)
    try:
        return asyncio.run(_end_all(directory, hello, requests, now))
    finally:
        directory.release()


async def _end_all(directory: RunDirectory, hello: Message, requests: int, now: bool) -> int:
    paths = [path for _, path in directory.worker_sockets()]
    cut = sum(await asyncio.gather(*(_end(path, hello, requests, now) for path in paths)))
    await asyncio.gather(*map(_gone, paths))
    return cut


async def _end(path: Path, hello: Message, requests: int, now: bool) -> int:
    cut = 0

    def listen(event: Message) -> None:
        nonlocal cut
        if event["event"] == "drained":
            cut = int(event["cut"])

    worker = worker_at(path)
    try:
        link = await Link.connect(str(path), hello, listen, 0.0, HELLO, any_build=True)
    except LinkLostError:
        _kill(worker)  # it hangs, or has ended by itself
        return 0
    try:
        if not now:
            await _drain(link, requests)
        if not link.lost.done():
            link.say("stop")
            await asyncio.wait({link.lost}, timeout=ENDING)
        if not link.lost.done():
            _kill(worker)
            await asyncio.wait({link.lost})
    finally:
        await link.close()
    return cut


async def _gone(path: Path) -> None:
    """Waits until it listens no more: a process that ends closes its sockets one by one."""
    for _ in range(round(ENDING / LOOK)):
        if not worker_at(path):
            return
        await asyncio.sleep(LOOK)


async def _drain(link: Link, requests: int) -> None:
    try:
        await link.call("drain", requests_ms=requests, tunnels_ms=requests)
        await asyncio.wait({link.lost}, timeout=requests / 1000 + SLACK)
    except (LinkLostError, RefusedError):
        return  # it has ended meanwhile, or is ended at once


def _kill(worker: int) -> None:
    if worker:
        with contextlib.suppress(ProcessLookupError):
            os.kill(worker, signal.SIGKILL)
