"""Schedulers of your own: a class that picks the server, in Python.

Example:
    >>> from evener.policies import Policy, Request, Server
    >>> class LeastPerWeight(Policy):
    ...     def pick(self, servers, request):
    ...         return min(servers, key=lambda server: server.in_flight / server.weight)

and in the configuration `scheduler: {name: python, policy: "/etc/evener/mine.py:LeastPerWeight"}`.

Rules kept here:
- A policy is one object on one thread of the worker: it needs no locks, and keeps what it learns
  until its text changes or the worker ends.
- What it is shown are the numbers of the moment; nothing it does to them changes anything.
- It is asked for a server and for nothing else: what takes long belongs into a thread of its own.
Not known here: how it is asked, and what happens when it does not answer (the engine).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

from evener.errors import EvenerError

__all__ = ["Ending", "Policy", "PolicyError", "Request", "Server"]


class PolicyError(EvenerError):
    """A policy that cannot be used.

    Args:
        got: What was found.
        expected: What should be there.
        hint: What to do.
    """

    def __init__(self, got: str, expected: str, hint: str = "") -> None:
        super().__init__(f"{got}; expected {expected}" + (f" ({hint})" if hint else ""))
        self.got, self.expected, self.hint = got, expected, hint


class Standings(Protocol):
    """What is known of servers at this moment: (state, in flight, latency) by index."""

    def __getitem__(self, index: int, /) -> tuple[str, int, float | None]: ...


class Server:
    """A server of the pool, the same object as long as it stays in the plan.

    Attributes:
        id: Its id in the pool.
        address: Where it is: `10.0.0.1:80`, `unix:/path`.
        weight: Its weight; 0 is never among those to pick from.
        tier: Its tier.
    """

    __slots__ = ("_board", "_index", "address", "id", "tier", "weight")

    def __init__(self, id: str, address: str, weight: int = 1, tier: int = 0) -> None:
        self.id, self.address = id, address
        self.weight, self.tier = weight, tier
        self._board: list[Standings] = [[("up", 0, None)]]
        self._index = 0

    @property
    def state(self) -> str:
        """`up`, `starting`, `draining`, `maintenance`, `ejected` or `down`."""
        return self._board[0][self._index][0]

    @property
    def in_flight(self) -> int:
        """Requests and sessions it has in hand, of all shards."""
        return self._board[0][self._index][1]

    @property
    def latency(self) -> float | None:
        """Decayed mean of the seconds from a pick to the head of its answer (of a session: to its
        connection); None while none is known."""
        return self._board[0][self._index][2]

    def __repr__(self) -> str:
        return f"<Server {self.id} {self.state}, {self.in_flight} in flight>"


@dataclass(frozen=True, slots=True)
class Request:
    """What a server is wanted for. Of a TCP session only the client is known.

    Attributes:
        method: As sent: `GET`.
        host: Without port, in lower case.
        path: As routes match on it.
        client: The client's address, after trusted proxies; empty over a unix socket.
        headers: The headers that the policy asked for and that are there, by name in lower case.
    """

    method: str = ""
    host: str = ""
    path: str = ""
    client: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ending:
    """How a try at a server ended.

    Attributes:
        status: Status of the answer; None of a session, or without an answer.
        failure: Why it failed, as the access log says it; empty if it did not.
        seconds: From the pick to the end; of a session to its connection.
    """

    status: int | None
    failure: str
    seconds: float


class Policy(ABC):
    """What to extend.

    Attributes:
        headers: Names of the request headers that `pick` looks at; no others are handed over.
        servers: All servers of the pool, in the order of the configuration, also those that may
            not be picked now.
    """

    headers: ClassVar[Sequence[str]] = ()
    servers: tuple[Server, ...] = ()

    @abstractmethod
    def pick(self, servers: Sequence[Server], request: Request) -> Server | None:
        """One of `servers`: those that take traffic, have room, were not tried for this request,
        and are of the lowest tier that has one; never empty. None leaves it to the fallback.
        """

    def ended(self, server: Server, ending: Ending) -> None:  # noqa: B027  # there to be overridden
        """A try at a server has ended. Only a class that has this method is told, and only while it
        keeps up."""
