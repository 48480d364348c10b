"""Start a worker process, and know when it ends.

Rules kept here (PROCESS.md, "worker"):
- It runs isolated (`-I`) with the supervisor's module path handed over, so that the working
  directory cannot inject code.
- The signals it ignores are blocked from before it starts until it ignores them: Ctrl-C, which
  reaches the whole group, cannot hit it in between.
- Its end is seen through a pidfd, which also works for a worker that is no child of ours.
Not known here: what is said to it.
"""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from evener.control.errors import StartError
from evener.worker import SIGNALS

_BOOT = (
    "import sys,json;sys.path[:]=json.loads(sys.argv[1]);"
    "from evener.worker import main;main(sys.argv[2:])"
)


class Process(Protocol):
    """A process that can be ended and whose end can be awaited."""

    @property
    def pid(self) -> int:
        """Its process id."""

    @property
    def ended(self) -> asyncio.Future[str]:
        """Done when it is gone, with a word on how."""

    def kill(self) -> None:
        """Ends it at once."""


class WorkerProcess:
    """A worker process of ours."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        try:
            self._pidfd = os.pidfd_open(process.pid)
        except OSError:  # no descriptors: a worker whose end nobody hears of is none
            process.kill()
            process.wait()
            raise
        loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[str] = loop.create_future()
        loop.add_reader(self._pidfd, self._gone)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def ended(self) -> asyncio.Future[str]:
        """Done when it is gone, with a word on how."""
        return self._ended

    def kill(self) -> None:
        """Ends it at once."""
        if not self._ended.done():
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    def _gone(self) -> None:
        asyncio.get_running_loop().remove_reader(self._pidfd)
        os.close(self._pidfd)
        code = self._process.wait()
        self._ended.set_result(_how(code))


#: Starts a worker that will listen at the path; the flag ties its life to ours.
Spawn = Callable[[Path, bool], Process]


def spawn(control_socket: Path, tied: bool) -> WorkerProcess:
    """Starts a worker that listens for its supervisor at `control_socket`.

    Args:
        tied: Whether it ends with this process, however that ends (`evener quick`).

    Raises:
        StartError: the interpreter cannot be executed, or there are no descriptors.
    """
    with contextlib.suppress(FileNotFoundError):
        control_socket.unlink()
    path = [entry for entry in sys.path if Path(entry).is_absolute()]
    command = [sys.executable, "-I", "-c", _BOOT, json.dumps(path), str(control_socket)]
    if tied:
        command.append(f"--tied-to={os.getpid()}")
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        return WorkerProcess(subprocess.Popen(command, stdin=subprocess.DEVNULL, cwd="/"))
    except OSError as error:
        raise StartError(f"cannot execute {sys.executable}: {error.strerror}") from error
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _how(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"


def where_it_hangs(pid: int) -> list[str]:
    """A line per thread: its name, its state and what it waits for, as far as /proc tells."""
    lines = []
    for task in sorted(Path(f"/proc/{pid}/task").glob("*")):
        with contextlib.suppress(OSError):
            status = (task / "stat").read_text()
            name, _, rest = status.partition("(")[2].rpartition(")")
            waits = _line(task / "wchan") or "0"
            call = _line(task / "syscall").split(" ")[0]
            lines.append(
                f"thread {task.name} {name}: state {rest.split()[0]}"
                f"{'' if waits == '0' else f', in {waits}'}"
                f"{f', system call {call}' if call else ''}"
            )
    return lines


def _line(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
