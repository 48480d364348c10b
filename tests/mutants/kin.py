"""Run a command so that nothing it started outlives it, whatever session that moved to.

Rules kept here:
- While the command runs, orphans of its tree become children of this process
  (PR_SET_CHILD_SUBREAPER, prctl(2)): they are found by descent, which no process can shed.
- Only what was not there before is ended, by its id, until none is left.
- The command writes into a file: one that has left its heirs behind is over all the same.
Not known here: what is run, and what its exit code means.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import select
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

_SET_CHILD_SUBREAPER = 36
_GET_CHILD_SUBREAPER = 37
#: Seconds for a process to vanish once it is killed.
_VANISH = 10.0


def run(
    command: Sequence[str], cwd: Path, env: Mapping[str, str], seconds: float, memory: int | None
) -> tuple[int | None, str]:
    """A command's exit code (None when its time was over) and what it said.

    Args:
        seconds: How long it may take.
        memory: Bytes that each of its processes may have of its own; None for any.
    """
    with tempfile.TemporaryFile() as words, _gathered():
        process = subprocess.Popen(
            list(command),
            cwd=cwd,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=words,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        if memory is not None:
            with contextlib.suppress(ProcessLookupError):
                resource.prlimit(process.pid, resource.RLIMIT_DATA, (memory, memory))
        code: int | None = None
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        words.seek(0)
        return code, words.read().decode(errors="replace")


@contextlib.contextmanager
def _gathered() -> Iterator[None]:
    """Ends at its end what was started within it."""
    before, was = set(_descendants()), _is_subreaper()
    _be_subreaper(True)
    try:
        yield
    finally:
        try:
            _end_all_but(before)
        finally:
            _be_subreaper(was)


def _end_all_but(before: set[tuple[int, int]]) -> None:
    """Kills round by round: who is killed may have started another a moment ago."""
    while left := [one for one in _descendants() if one not in before]:
        for pid, began in left:
            with contextlib.suppress(ProcessLookupError):
                _end(pid, began)


def _end(pid: int, began: int) -> None:
    """Kills a process and waits for its end; a child of ours is buried, too."""
    handle = os.pidfd_open(pid)
    try:
        if (pid, began) not in _descendants():
            return  # its id is another's by now
        signal.pidfd_send_signal(handle, signal.SIGKILL)
        if not select.select([handle], [], [], _VANISH)[0]:
            raise TimeoutError(f"process {pid} does not end")
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)
    finally:
        os.close(handle)


def _descendants() -> list[tuple[int, int]]:
    """All that descend from this process, each as its id and the time it began; no zombies of
    others, which only their parents can bury.

    Source: proc(5), /proc/PID/stat: state is field 3, the parent 4, the start 22.
    """
    parents: dict[int, int] = {}
    living: dict[int, int] = {}
    ours = os.getpid()
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = path.read_text(errors="replace").rpartition(")")[2].split()
            pid, parent = int(path.parent.name), int(fields[1])
            parents[pid] = parent
            if fields[0] not in "ZX" or parent == ours:
                living[pid] = int(fields[19])
    found = []
    for pid, began in living.items():
        above = pid
        while above in parents and above != ours:
            above = parents[above]
        if above == ours and pid != ours:
            found.append((pid, began))
    return found


def _be_subreaper(on: bool) -> None:
    _prctl(_SET_CHILD_SUBREAPER, ctypes.c_ulong(on))


def _is_subreaper() -> bool:
    found = ctypes.c_int()
    _prctl(_GET_CHILD_SUBREAPER, ctypes.byref(found))
    return bool(found.value)


def _prctl(option: int, value: object) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option})")
