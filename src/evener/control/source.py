"""What the supervisor needs of a configuration, however it came about.

A `Source` is read at start and at every reload; what it gives is compiled once the addresses
of its host names are known, and again when they change.
"""

import os
import resource
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from evener.compile import Compiled, Facts, compile, names
from evener.config import Config, ConfigError
from evener.control.errors import ConfigRefusedError
from evener.control.policies import versions

Plan = dict[str, Any]


class Loaded(Protocol):
    """A configuration that was read and found right."""

    def names(self) -> frozenset[str]:
        """Host names whose addresses are needed."""

    def compile(self, addresses: Mapping[str, tuple[str, ...]]) -> Compiled:
        """The plan for these addresses; a name without any has no server.

        Raises:
            ConfigRefusedError: what only shows with addresses is wrong.
        """

    def place(self, *path: str) -> str:
        """Where a key is written, or what is above it: `FILE:LINE:COLUMN`; empty without a file."""

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
            ConfigRefusedError: with a line for each thing that is wrong.
        """


@dataclass(frozen=True)
class LoadedConfig:
    """A `Config`, found right."""

    config: Config

    def names(self) -> frozenset[str]:
        """As `Loaded`."""
        return frozenset(names(self.config))

    @cached_property
    def policies(self) -> dict[str, str]:
        """Of each policy that it names, which text of it there was when this was first asked.

        Raises:
            ConfigError: one cannot be used.
        """
        return versions(self.config)

    def compile(self, addresses: Mapping[str, tuple[str, ...]]) -> Compiled:
        """As `Loaded`."""
        try:
            known = facts()._replace(policies=self.policies)
            compiled = compile(self.config, resolve=addresses, facts=known)
        except ConfigError as error:
            raise ConfigRefusedError([str(problem) for problem in error.problems]) from error
        return compiled

    def place(self, *path: str) -> str:
        """As `Loaded`."""
        found = self.config.place(*path)
        return str(found) if found.line else ""

    def text(self, resolved: bool) -> str:
        """As `Loaded`."""
        return self.config.to_yaml(resolved=resolved)


class FileSource:
    """A file, read anew at each reload."""

    def __init__(self, path: str) -> None:
        self.path = str(Path(path).absolute())

    def load(self) -> LoadedConfig:
        """As `Source`."""
        try:
            config = Config.load(self.path)
            config.check()
        except ConfigError as error:
            raise ConfigRefusedError([str(problem) for problem in error.problems]) from error
        return LoadedConfig(config)


class BuiltSource:
    """A `Config` built in Python or by `evener quick`: a reload resolves and reads secrets anew."""

    path = ""

    def __init__(self, config: Config) -> None:
        self._config = config

    def load(self) -> LoadedConfig:
        """As `Source`."""
        try:
            self._config.check()
        except ConfigError as error:
            raise ConfigRefusedError([str(problem) for problem in error.problems]) from error
        return LoadedConfig(self._config)


def facts() -> Facts:
    """What this machine knows and a configuration cannot."""
    return Facts(descriptors=resource.getrlimit(resource.RLIMIT_NOFILE)[1], ipv6=_has_ipv6())


def shards_of(written: int | None) -> int:
    """How many shards: as written, else one for each core this process may use."""
    return written if written is not None else len(os.sched_getaffinity(0))


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::", 0))
    except OSError:
        return False
    return True
