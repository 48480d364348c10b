"""Addresses and directories that no other test has.

Rules kept here:
- Each test process has loopback addresses of its own (127.x.y.z), so that a port that the system
  gave and that is bound a moment later cannot be taken by anybody else meanwhile.
- Directories have short paths (a unix socket's has at most 107 bytes) and are readable for the
  unprivileged users that some programs run as.
"""

from __future__ import annotations

import itertools
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_COUNT = itertools.count(1)
_TAKEN: set[tuple[str, int]] = set()


def fresh_host() -> str:
    """A loopback address that this test run uses once."""
    number, process = next(_COUNT), os.getpid()
    return f"127.{1 + process % 250}.{(process // 250 + number // 250) % 256}.{1 + number % 250}"


def free_port(host: str = "127.0.0.1") -> int:
    """A port that the system finds free, and that was not given out before."""
    while True:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family) as sock:
            sock.bind((host, 0))
            port: int = sock.getsockname()[1]
        if (host, port) not in _TAKEN:
            _TAKEN.add((host, port))
            return port


def fresh_address() -> str:
    """HOST:PORT that nobody listens on."""
    host = fresh_host()
    return f"{host}:{free_port(host)}"


@contextmanager
def short_directory() -> Iterator[Path]:
    """A directory with a short path; it goes with all that is in it."""
    path = Path(tempfile.mkdtemp(prefix="ev-"))
    path.chmod(0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
