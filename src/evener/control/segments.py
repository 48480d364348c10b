"""Counter segments: one memory file per worker life and writer, living or retired.

Rules kept here:
- The writers of a life are its shards and, last, its prober.
- A segment outlives its worker: retired ones are still summed, so that counters only grow. Only
  where they would take so many descriptors that no worker can be started the oldest are let go.
- A worker stamps each living segment at every turn of its shard; a stamp that stands still for
  ten looks in a row is a stall. Looks are counted, not time: a supervisor that was itself
  stopped must not blame the worker.
Not known here: what is in a segment (the extension reads it).
"""

import fcntl
import os
import resource
from collections.abc import Sequence
from dataclasses import dataclass, field

from evener.control.logs import LOG

#: Part of all descriptors that retired segments may be; who reads them has a copy of each.
SHARE = 4
#: Looks, one a second, with an unmoved stamp that make a stall.
STALLED = 10


@dataclass
class Segments:
    """Descriptors of the memory files, by worker life."""

    living: list[int] = field(default_factory=list)
    retired: list[int] = field(default_factory=list)

    def fresh(self, shards: int) -> list[int]:
        """Retires what lives and makes the files of a new worker life."""
        self.retire()
        try:
            for writer in [*map(str, range(shards)), "prober"]:
                self.living.append(_memory(f"evener-counters-{writer}"))
        except OSError:
            self.drop()
            raise
        return self.living

    def drop(self) -> None:
        """The life came to nothing: nobody has read its segments, and there is nothing to sum."""
        for descriptor in self.living:
            os.close(descriptor)
        self.living = []

    def retire(self) -> None:
        """The worker has ended: its segments are summed, and gauges no longer read from them."""
        self.retired += self.living
        self.living = []
        room = resource.getrlimit(resource.RLIMIT_NOFILE)[0] // SHARE
        if 0 < room < len(self.retired):
            old, self.retired = self.retired[:-room], self.retired[-room:]
            for descriptor in old:
                os.close(descriptor)
            LOG.warning("so many workers have ended that counters of the first are let go")

    def close(self) -> None:
        """Lets go of all."""
        for descriptor in [*self.living, *self.retired]:
            os.close(descriptor)
        self.living, self.retired = [], []


def _memory(name: str) -> int:
    """A memory file that only grows: one that shrank would end its readers (SIGBUS)."""
    descriptor = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
    return descriptor


class Watchdog:
    """Finds shards whose stamp stands still. Made anew for each worker life."""

    def __init__(self) -> None:
        self._last: list[int] = []
        self._still: list[int] = []

    def look(self, stamps: Sequence[int]) -> list[int]:
        """Takes the stamps of all shards, once a second; returns the shards that hang."""
        if len(stamps) != len(self._last):
            self._last, self._still = list(stamps), [0] * len(stamps)
            return []
        for shard, stamp in enumerate(stamps):
            moved = stamp != self._last[shard]
            self._still[shard] = 0 if moved else self._still[shard] + 1
        self._last = list(stamps)
        return [shard for shard, still in enumerate(self._still) if still >= STALLED]
