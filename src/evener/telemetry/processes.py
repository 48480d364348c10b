"""Numbers of a process, from /proc.

Source: proc_pid_stat(5), proc_pid_limits(5); field numbers are that page's.
"""

import os
from pathlib import Path
from typing import TypedDict

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Process(TypedDict):
    """What the Prometheus page shows of a process."""

    role: str
    cpu_seconds: float
    resident_bytes: int
    virtual_bytes: int
    open_fds: int
    max_fds: int
    start_seconds: float


def process(role: str, pid: int, root: Path = Path("/proc")) -> Process | None:
    """The numbers of process `pid`; None if it has ended or may not be looked at."""
    folder = root / str(pid)
    try:
        # The name, field 2, is in brackets and may hold anything; field 3 follows the last one.
        fields = (folder / "stat").read_text().rpartition(")")[2].split()
        return Process(
            role=role,
            cpu_seconds=(int(fields[11]) + int(fields[12])) / _TICKS,
            resident_bytes=int(fields[21]) * _PAGE,
            virtual_bytes=int(fields[20]),
            open_fds=sum(1 for _ in (folder / "fd").iterdir()),
            max_fds=_max_fds(folder),
            start_seconds=_boot(root) + int(fields[19]) / _TICKS,
        )
    except OSError:
        return None


def _max_fds(folder: Path) -> int:
    for line in (folder / "limits").read_text().splitlines():
        if line.startswith("Max open files"):
            soft = line.split()[3]
            return int(soft) if soft.isdigit() else 0
    return 0


def _boot(root: Path) -> float:
    for line in (root / "stat").read_text().splitlines():
        if line.startswith("btime "):
            return float(line.split()[1])
    return 0.0
