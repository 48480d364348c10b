"""What the supervisor needs of a configuration, however it came about.

A `Source` is read at start and at every reload; what it gives is compiled once the addresses
of its host names are known, and again when they change.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from evener.control.certificates import SecretFiles
from evener.control.sockets import Bind

Plan = dict[str, Any]


@dataclass(frozen=True)
class Settings:
    """The part of the configuration that the supervisor itself obeys.

    Attributes:
        run: Run directory; None is PROCESS.md's default.
        state: Directory of people's words; None keeps them in the run directory.
        shards: Worker threads.
        drain_requests: Milliseconds that requests in hand may go on at a stop.
        log_level, log_to: The supervisor's log.
        access_to: `stdout` or a path; None when there is no access log.
        metrics: TCP address of the Prometheus page; None is off.
    """

    run: str | None
    state: str | None
    shards: int
    drain_requests: int
    log_level: str
    log_to: str
    access_to: str | None
    metrics: str | None


@dataclass(frozen=True)
class Candidate:
    """A compiled configuration. The plan's generation is still to be set."""

    plan: Plan
    binds: tuple[Bind, ...]
    secrets: Mapping[str, SecretFiles]
    settings: Settings


class Loaded(Protocol):
    """A configuration that was read and found right."""

    def names(self) -> frozenset[str]:
        """Host names whose addresses are needed."""

    def compile(self, addresses: Mapping[str, tuple[str, ...]]) -> Candidate:
        """The plan for these addresses; a name without any has no server.

        Raises:
            ConfigRefused: what only shows with addresses is wrong.
        """

    def text(self, resolved: bool) -> str:
        """The configuration as people read it, in its long form if `resolved`. No secrets."""


class Source(Protocol):
    """Where a configuration comes from."""

    @property
    def path(self) -> str:
        """The file, as an absolute path; empty when there is none."""

    def load(self) -> Loaded:
        """Reads it anew.

        Raises:
            ConfigRefused: with a line for each thing that is wrong.
        """
