"""What the engine calls on a policy's thread: plain values in, an index or words out.

Rules kept here:
- Nothing that a policy raises gets out as an exception, not even the wish to end the process.
- An answer is one of the very objects that were offered, or None; everything else is told as what
  it is.
- A call that outlasts every time-out is interrupted when the next policy begins: one that spins
  would take the interpreter from it. What waits outside the interpreter takes nothing.
- Numbers stand on one board that all servers read from: a question costs no work for servers that
  a policy does not look at.
Not known here: threads, time-outs, who asked.
"""

from __future__ import annotations

import ctypes
import sys
import threading
import time
from collections.abc import Sequence
from weakref import WeakSet

from evener.policies import Ending, Policy, Request, Server, Standings
from evener.policies.loading import load, words

#: Id, address, weight, tier.
Seat = tuple[str, str, int, int]
#: State, requests in flight, latency.
Standing = tuple[str, int, float | None]


#: Seconds in a call after which nobody waits for its end: the longest time-out there is.
STUCK = 1.0
_DESKS: WeakSet[Desk] = WeakSet()


class StuckError(Exception):
    """Raised in a policy that was in one call for too long, when another one begins."""


class Desk:
    """A policy at work.

    Args:
        reference: `module:Class` or `/path/file.py:Class`.

    Raises:
        PolicyError: it cannot be made.
    """

    def __init__(self, reference: str) -> None:
        sys.dont_write_bytecode = True  # the worker writes no files
        interrupt_stuck(time.monotonic())
        self._thread = threading.get_ident()
        self._since: float | None = None
        self.policy: Policy = load(reference)
        self.headers = [name.lower() for name in self.policy.headers]
        self.hears = type(self.policy).ended is not Policy.ended
        self._servers: tuple[Server, ...] = ()
        self._board: list[Standings] = [()]
        _DESKS.add(self)

    def seat(self, seats: Sequence[Seat]) -> None:
        """The servers that indexes stand for from now on; those that stay are the same objects."""
        known = {(server.id, server.address): server for server in self._servers}
        servers = []
        for index, (id_, address, weight, tier) in enumerate(seats):
            server = known.get((id_, address)) or Server(id_, address)
            server.weight, server.tier = weight, tier
            server._board, server._index = self._board, index
            servers.append(server)
        for gone in set(self._servers) - set(servers):
            gone._board, gone._index = [[("down", 0, None)]], 0
        self._servers = self.policy.servers = tuple(servers)

    def pick(
        self,
        asked: tuple[str, str, str, str],
        headers: Sequence[str | None],
        standings: Sequence[Standing],
        free: Sequence[int],
    ) -> int | str | None:
        """Index of the server picked, None for the fallback, or words on what went wrong."""
        self._board[0] = standings
        offered = [self._servers[index] for index in free]
        there = zip(self.headers, headers, strict=True)
        given = {name: value for name, value in there if value is not None}
        try:
            self._since = time.monotonic()
            picked = self.policy.pick(offered, Request(*asked, given))
            self._since = None
            if picked is None:
                return None
            # By place, not by the list that was offered: a policy may have changed that.
            index = getattr(picked, "_index", -1)
            mine = index in free and self._servers[index] is picked
            return index if mine else _nonsense(picked)
        except BaseException as error:
            self._since = None
            return words(error)

    def ended(self, index: int, status: int | None, failure: str, seconds: float) -> str | None:
        """Tells the policy how a try ended; words on what went wrong."""
        try:
            self._since = time.monotonic()
            self.policy.ended(self._servers[index], Ending(status, failure, seconds))
            self._since = None
        except BaseException as error:
            self._since = None
            return words(error)
        return None

    def interrupt_if_stuck(self, now: float) -> None:
        """Raises `StuckError` in its thread, if its policy has been in one call for too long."""
        if self._since is not None and now - self._since >= STUCK:
            raised = ctypes.py_object(StuckError)
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self._thread), raised)


def interrupt_stuck(now: float) -> None:
    """Ends the calls of all policies that are stuck."""
    for desk in list(_DESKS):
        desk.interrupt_if_stuck(now)


def _nonsense(picked: object) -> str:
    if isinstance(picked, Server):
        return f"it picked {picked.id}, which may not be picked now (it is {picked.state})"
    shown = repr(picked)
    return f"it picked {shown[:60]}, which is none of the servers it was given"
