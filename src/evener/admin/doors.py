"""Serve the API on the admin socket, and the Prometheus page on its TCP address.

Rules kept here:
- A peer on the admin socket must be root, our own user, or of the group that was named when
  started as root; anybody else is cut off before a byte is read.
- Anybody may come to the Prometheus page's address: few at a time and none for long, since
  commands, reloads and new workers need the same descriptors.
- Signals are the supervisor's: the HTTP server sets no handlers.
Not known here: what is served.
"""

import asyncio
import contextlib
import os
import pwd
import socket
import struct
from collections.abc import Iterator
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from evener.admin.api import admin_app, metrics_app
from evener.control.supervisor import Supervisor

#: Seconds that answers in hand get when a door closes.
CLOSING = 2
#: Connections to the page at once; one more ends the oldest.
MOST = 64
#: Seconds that one may last; Prometheus gives a scrape up 10 s after it began.
LONGEST = 30.0
#: Connections that asyncio takes in one turn of its loop; those of a few turns are there before the
#: first of them counts. It asks for a queue of this length, too, and tries as often where no
#: descriptor is left, logging each time (CPython 3.11, `_accept_connection`): with uvicorn's 2048
#: that took seconds.
AT_ONCE = 16
#: Connections that may wait at a door, in the kernel's queue.
QUEUE = 2048
_CREDENTIALS = struct.Struct("3i")


async def serve(supervisor: Supervisor) -> None:
    """Serves both doors until cancelled."""
    async with asyncio.TaskGroup() as group:
        group.create_task(_admin(supervisor))
        group.create_task(_metrics(supervisor))


async def _admin(supervisor: Supervisor) -> None:
    group = supervisor.admin_group

    class Checked(H11Protocol):
        """Cuts off peers that may not ask."""

        def connection_made(self, transport: Any) -> None:
            sock = transport.get_extra_info("socket")
            if not admitted(sock, group):
                transport.abort()
            super().connection_made(transport)

    await _serve(admin_app(supervisor), supervisor.admin_socket.dup(), Checked)


async def _metrics(supervisor: Supervisor) -> None:
    while True:
        supervisor.metrics_changed.clear()
        changed = asyncio.create_task(supervisor.metrics_changed.wait())
        serving = None
        if supervisor.metrics is not None:
            app = metrics_app(supervisor)
            # A copy: the HTTP server closes what it serves, the supervisor what it opened.
            copy = supervisor.metrics.dup()
            serving = asyncio.create_task(_serve(app, copy, bounded()))
        try:
            await changed
        finally:
            changed.cancel()
            if serving is not None:
                serving.cancel()
                await asyncio.gather(serving, return_exceptions=True)


def bounded() -> type[H11Protocol]:
    """A protocol of which `MOST` connections live at once, each for `LONGEST`."""
    held: dict[H11Protocol, asyncio.TimerHandle] = {}

    class Bounded(H11Protocol):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            if len(held) >= MOST:
                oldest = next(iter(held))
                held.pop(oldest).cancel()
                oldest.transport.abort()
            held[self] = self.loop.call_later(LONGEST, transport.abort)

        def connection_lost(self, exc: Exception | None) -> None:
            if self in held:
                held.pop(self).cancel()
            super().connection_lost(exc)

    return Bounded


class _Server(uvicorn.Server):
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for sock in sockets or ():
            sock.listen(QUEUE)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _serve(app: Any, sock: socket.socket, protocol: type[H11Protocol]) -> None:
    config = uvicorn.Config(
        app,
        http=protocol,
        loop="none",
        lifespan="off",
        log_config=None,
        log_level="error",  # what strangers say is no news, and they could fill a disk with it
        access_log=False,
        server_header=False,
        ws="none",
        backlog=AT_ONCE,
        timeout_graceful_shutdown=CLOSING,
    )
    server = _Server(config)
    task = asyncio.ensure_future(server.serve(sockets=[sock]))
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        server.should_exit = True
        await task
        raise


def admitted(sock: socket.socket, group: int | None) -> bool:
    """Whether the peer of a unix socket may give commands (SO_PEERCRED, unix(7))."""
    raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _, uid, gid = _CREDENTIALS.unpack(raw)
    if uid in (0, os.geteuid()):
        return True
    return group is not None and (gid == group or group in _groups(uid, gid))


def _groups(uid: int, gid: int) -> list[int]:
    try:
        return os.getgrouplist(pwd.getpwuid(uid).pw_name, gid)
    except KeyError:
        return []
