"""Name the process that holds a listening address, by /proc, so that a person can act on it.

Rules kept here:
- Best effort: without the right to see, the answer is that there is none to give.
- Sockets of our own are nobody's: their inodes come in, and are passed over.
Source: proc_pid_net(5): the tables of sockets by inode, and /proc/PID/fd's links to inodes.
"""

import os
import socket
import struct
from collections.abc import Container, Iterator
from pathlib import Path

#: State column of a listening socket (TCP_LISTEN in the kernel's tcp_states.h).
_LISTEN = "0A"


def holder_of(family: int, host: str, port: int, ours: Container[str] = ()) -> str:
    """`name (pid N)` of a process listening where `host:port` cannot be bound, or empty."""
    if inode := stranger(family, host, port, ours):
        for pid in _pids():
            if _holds(pid, inode):
                return f"{_name(pid)} (pid {pid})"
    return ""


def stranger(family: int, host: str, port: int, ours: Container[str]) -> str:
    """The inode of a socket that listens where `host:port` is and is not ours, or empty."""
    wanted = {_hex(family, host), _hex(socket.AF_INET, "0.0.0.0"), _hex(socket.AF_INET6, "::")}
    every = host in ("0.0.0.0", "::")
    for local, inode in _listening():
        address, _, number = local.partition(":")
        if int(number, 16) == port and (every or address in wanted) and inode not in ours:
            return inode
    return ""


def _listening() -> Iterator[tuple[str, str]]:
    for table in ("tcp", "tcp6"):
        try:
            rows = Path("/proc/net", table).read_text().splitlines()[1:]
        except OSError:
            continue
        for row in rows:
            cells = row.split()
            if cells[3] == _LISTEN:
                yield cells[1], cells[9]


def _hex(family: int, host: str) -> str:
    packed = socket.inet_pton(family, host)
    words = [packed[at : at + 4] for at in range(0, len(packed), 4)]
    return "".join(f"{struct.unpack('=I', word)[0]:08X}" for word in words)


def _pids() -> Iterator[int]:
    yield from (int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit())


def _holds(pid: int, inode: str) -> bool:
    wanted = f"socket:[{inode}]"
    try:
        return any(os.readlink(path) == wanted for path in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return False


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return "a process"
