"""Programs as child processes: found or named, started, ended by their id, their words kept.

Rules kept here:
- A program that is missing fails the test with the package that has it; nothing is skipped.
- What was started is ended, with its whole session, however the test ended.
"""

from __future__ import annotations

import contextlib
import glob
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from .waiting import eventually

#: Where Debian puts what is not in every user's PATH.
_PLACES = ["/usr/sbin", "/usr/local/sbin", *sorted(glob.glob("/usr/lib/postgresql/*/bin"))]
_PACKAGES = {
    "nginx": "nginx",
    "php-fpm": "php-fpm",
    "initdb": "postgresql",
    "postgres": "postgresql",
    "psql": "postgresql-client",
    "haproxy": "haproxy",
    "wrk": "wrk",
    "curl": "curl",
    "openssl": "openssl",
    "runuser": "util-linux",
    "prlimit": "util-linux",
}


def program(name: str) -> str:
    """Path of a program; a failure that names its package when it is missing."""
    path = os.pathsep.join([os.environ.get("PATH", ""), *_PLACES])
    found = shutil.which(name, path=path)
    if found is None and (versions := sorted(glob.glob(f"/usr/sbin/{name}[0-9]*"))):
        found = versions[-1]  # Debian's php-fpm has its version in its name
    if found is None:
        pytest.fail(f"{name} is missing: apt-get install {_PACKAGES[name]}")
    return found


class Process:
    """A started program.

    Args:
        name: What it is called in failures; its words go to `directory/name.out` and `.err`.
        command: Program and arguments.
        directory: Its working directory.
        environment: Instead of ours.
        session: Whether it leads a session of its own, so that a signal to our group spares it.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        directory: Path,
        environment: Mapping[str, str] | None = None,
        session: bool = True,
    ) -> None:
        self.name = name
        self.out, self.err = directory / f"{name}.out", directory / f"{name}.err"
        with self.out.open("ab") as out, self.err.open("ab") as err:
            self._popen = subprocess.Popen(
                list(command),
                cwd=directory,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=session,
            )
        self.pid = self._popen.pid

    def alive(self) -> bool:
        """Whether it still runs."""
        return self._popen.poll() is None

    def words(self) -> str:
        """What it has said on stderr."""
        return self.err.read_text(errors="replace")

    def output(self) -> str:
        """What it has printed on stdout."""
        return self.out.read_text(errors="replace")

    def until_says(self, word: str, within: float = 15.0) -> None:
        """Waits for a word on stderr."""

        def said() -> bool:
            if word in self.words():
                return True
            if not self.alive():
                pytest.fail(f"{self.name} ended ({self._popen.returncode}): {self.words()}")
            return False

        eventually(said, within, f"{self.name} says {word!r}; it said {self.words()!r}")

    def signal(self, number: int) -> None:
        """Sends a signal to it alone."""
        self._popen.send_signal(number)

    def ended(self, within: float = 20.0) -> int:
        """Its exit code, once it has ended."""
        try:
            return self._popen.wait(within)
        except subprocess.TimeoutExpired:
            pytest.fail(f"{self.name} did not end within {within:g} s: {self.words()}")

    def end(self) -> None:
        """Ends it and the processes of its session."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._popen.kill()
        self._popen.wait(10)


def output_of(command: Sequence[str], within: float = 30.0, stdin: bytes = b"") -> str:
    """What a command prints; a failure with its words unless it ends well."""
    done = subprocess.run(
        list(command), input=stdin, capture_output=True, timeout=within, check=False
    )
    assert done.returncode == 0, (command, done.returncode, done.stdout, done.stderr)
    return done.stdout.decode(errors="replace")


def exists(pid: int) -> bool:
    """Whether a process of this id runs.

    A zombie does not; but while one of its threads still ends, the first being a zombie already,
    its sockets are open.
    """
    return any(_runs(task) for task in Path(f"/proc/{pid}/task").glob("*"))


def _runs(task: Path) -> bool:
    try:
        stat = (task / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in ("Z", "X")
