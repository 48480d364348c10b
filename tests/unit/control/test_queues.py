"""What waits in the kernel's queues, asked of real sockets."""

import socket
from contextlib import ExitStack
from pathlib import Path

import pytest

from evener.control.queues import queued
from evener.control.sockets import Listening

from .scene import bind


@pytest.mark.parametrize("address", ["127.0.0.1:0", "[::1]:0", "unix"])
def test_connections_that_nobody_accepts_are_counted(address: str, tmp_path: Path) -> None:
    if address == "unix":
        address = f"unix:{tmp_path}/s"
    listening = Listening(shards=2)
    listening.adopt(listening.prepare([bind(address)]))
    groups = listening.groups()
    with ExitStack() as ends:
        ends.callback(listening.close)
        assert queued(groups) == {address: 0}
        for _ in range(5):
            client = ends.enter_context(socket.socket(groups[0].sockets[0][1].family))
            client.connect(groups[0].sockets[0][1].getsockname())
        assert queued(groups) == {address: 5}
        for _, sock in groups[0].sockets:
            try:
                ends.enter_context(sock.accept()[0])
                break
            except BlockingIOError:
                continue
        assert queued(groups) == {address: 4}


def test_what_is_no_listening_socket_counts_nothing() -> None:
    listening = Listening(shards=1)
    listening.adopt(listening.prepare([bind("127.0.0.1:0")]))
    groups = listening.groups()
    listening.groups()[0].sockets[0][1].close()
    assert queued(groups) == {"127.0.0.1:0": 0}
