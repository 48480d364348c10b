"""What the bench needs of the machine: programs, cores, ports, processes that end when told.

Rules kept here:
- A missing program is named with the line that brings it; root gets it installed.
- Every process started here is ended here, by its id, with its children; none is ever looked for
  by name.
- Ports are the system's choice.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.accounts import state, tree
from house import debian

# Debian package → a file or program that shows it is there.
PACKAGES = {
    "nginx": "/usr/sbin/nginx",
    "libnginx-mod-stream": "/usr/lib/nginx/modules/ngx_stream_module.so",
    "haproxy": "/usr/sbin/haproxy",
    "wrk": "/usr/bin/wrk",
    "iperf3": "/usr/bin/iperf3",
    "openssl": "/usr/bin/openssl",
    "util-linux": "/usr/bin/taskset",
    "gcc": "/usr/bin/gcc",
    "libc6-dev": "/usr/include/stdio.h",
    "libssl-dev": "/usr/include/openssl/ssl.h",
}


class MachineError(Exception):
    """The machine lacks something; the message says what brings it."""


def install_missing() -> None:
    """Installs what is missing from Debian when root.

    Raises:
        MachineError: Something is missing and we may not install it, or apt-get failed.
    """
    try:
        debian.provide(PACKAGES, "the bench")
    except debian.Missing as error:
        raise MachineError(str(error)) from error


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody uses, no two the same."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]
    finally:
        for one in sockets:
            one.close()


@dataclass(frozen=True)
class Running:
    """A process of ours and where its words go."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        """Its id: the root of the tree that is measured."""
        return self.process.pid

    def last_words(self) -> str:
        """The end of its log, for error messages."""
        words = " / ".join(self.log.read_text(errors="replace").split("\n")[-6:])
        return words.strip(" /")[-400:] or "(it said nothing)"

    def wait_for_port(self, port: int, seconds: float = 15.0) -> None:
        """Returns once the port accepts a connection.

        Raises:
            MachineError: The process ended or the time passed; the message has its last words.
        """
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise MachineError(f"{self.name} ended at once: {self.last_words()}")
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return
            time.sleep(0.05)
        raise MachineError(f"{self.name} does not accept on port {port}: {self.last_words()}")

    def stop(self, patience: float = 5.0) -> None:
        """Asks it to end; what is left of it and its children after that many seconds is ended."""
        family = tree(self.pid)
        self.process.terminate()
        self._wait_for(family, patience)
        for pid in alive(family):
            os.kill(pid, signal.SIGKILL)
        self._wait_for(family, patience)

    def _wait_for(self, family: Sequence[int], seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end and (self.process.poll() is None or alive(family)):
            time.sleep(0.02)


def alive(pids: Sequence[int]) -> list[int]:
    """Those of the processes that still run (one that waits to be reaped does not)."""
    return [pid for pid in pids if state(pid) not in ("Z", "X", "")]


def start(
    name: str,
    command: Sequence[str],
    core: int,
    directory: Path,
    environment: Mapping[str, str] | None = None,
) -> Running:
    """Starts a program on one core, its output in DIRECTORY/NAME.out."""
    log = directory / f"{name}.out"
    with log.open("wb") as out:
        process = subprocess.Popen(
            ["taskset", "-c", str(core), *command],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
        )
    return Running(name, process, log)
