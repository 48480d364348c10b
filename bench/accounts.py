"""Read from /proc what a tree of processes has used: processor time and memory.

Rules kept here:
- The whole tree counts: every process below the first, every thread of each.
- Time is what the scheduler booked (schedstat's first field, nanoseconds on a core), not ticks.
- A process that came or went between two readings is an error: its time would be lost.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")


class TreeChanged(Exception):
    """A process of the measured tree came or went while it was measured."""


def tree(root: int, proc: Path = PROC) -> list[int]:
    """The process and all that descend from it, in order of their ids."""
    parents = {int(entry.name): _parent(entry) for entry in proc.iterdir() if entry.name.isdigit()}
    found = {root}
    while True:
        grown = found | {pid for pid, parent in parents.items() if parent in found}
        if grown == found:
            return sorted(found)
        found = grown


def _parent(entry: Path) -> int:
    fields = _fields(entry)
    return int(fields[1]) if fields else -1


def state(pid: int, proc: Path = PROC) -> str:
    """The letter for what a process does (`R`, `S`, `Z`…); empty when there is no such process."""
    fields = _fields(proc / str(pid))
    return fields[0] if fields else ""


def _fields(entry: Path) -> list[str]:
    """What stands behind the name, which is in brackets and may itself hold anything."""
    try:
        return (entry / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


@dataclass(frozen=True)
class Reading:
    """Nanoseconds on a core so far, per process."""

    on_cpu: dict[int, int]

    def since(self, before: Reading) -> float:
        """Microseconds of the whole tree between two readings.

        Raises:
            TreeChanged: The two readings are not of the same processes.
        """
        if self.on_cpu.keys() != before.on_cpu.keys():
            raise TreeChanged(f"processes were {set(before.on_cpu)} and became {set(self.on_cpu)}")
        return sum(self.on_cpu[pid] - before.on_cpu[pid] for pid in self.on_cpu) / 1000


def processor_time(root: int, proc: Path = PROC) -> Reading:
    """What the tree has used until now."""
    return Reading({pid: _on_cpu(proc / str(pid)) for pid in tree(root, proc)})


def _on_cpu(process: Path) -> int:
    total = 0
    for thread in (process / "task").iterdir():
        try:
            total += int((thread / "schedstat").read_text().split()[0])
        except (FileNotFoundError, ProcessLookupError):
            continue  # a thread that ended while we looked
    return total


def resident_kib(root: int, proc: Path = PROC) -> int:
    """Resident memory of the tree, pages shared by several counted once (Pss)."""
    total = 0
    for pid in tree(root, proc):
        for line in (proc / str(pid) / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1])
    return total
