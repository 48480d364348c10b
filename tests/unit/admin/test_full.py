"""Doors of a process that has no descriptor left."""

import asyncio
import contextlib
import errno
import os
import socket
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol

from evener.admin.doors import _serve

pytestmark = pytest.mark.asyncio


class Full(socket.socket):
    """A listening socket in a process that has no descriptor left."""

    tries = 0

    def accept(self) -> tuple[Any, Any]:
        Full.tries += 1
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


async def test_without_descriptors_a_door_does_not_keep_the_supervisor_busy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, tried = asyncio.get_running_loop(), asyncio.Event()
    monkeypatch.setattr(loop, "call_exception_handler", lambda _: tried.set())
    path = str(tmp_path / "admin.sock")
    with contextlib.ExitStack() as stack:
        door = Full(socket.AF_UNIX)
        door.bind(path)
        door.listen(1)
        clients = [stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(100)]
        clients[0].connect(path)
        serving = asyncio.create_task(_serve(Starlette(), door, H11Protocol))
        await tried.wait()
        for client in clients[1:]:
            client.setblocking(False)
            client.connect(path)  # so many commands may wait all the same
        assert Full.tries <= 32
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
