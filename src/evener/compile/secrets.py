"""Secrets of a plan: which files each is read from. Contents are read and judged by the supervisor.

A plan names secrets by id; their contents travel apart. An id is made of the files' paths, so the
same files are one secret however often they are used.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from evener.config import Place
from evener.config.report import Path, show

Where = tuple[str | int, ...]
"""The path of a key, step by step."""

NOWHERE = Place("(Python)", 0, 0)


class Secret(NamedTuple):
    """A secret and the files that make it.

    Attributes:
        where: the key of the configuration that names it.
        files: paths, read and joined in this order.
        key: whether a private key belongs to it.
        place: where that key is written.
    """

    where: str
    files: tuple[str, ...]
    key: bool
    place: Place = NOWHERE


def _nowhere(*_: str | int) -> Place:
    return NOWHERE


class Secrets:
    """The secrets that a plan names, each once."""

    def __init__(self, place: Callable[..., Place] = _nowhere) -> None:
        """`place`: where the key at a path is written."""
        self._place = place
        self.by_id: dict[str, Secret] = {}

    def add(self, *files: str | None, key: bool, where: Where) -> str:
        """Notes a secret made of these files and gives its id."""
        paths = tuple(file for file in files if file is not None)
        name = ("key:" if key else "ca:") + "|".join(paths)
        if name not in self.by_id:
            path: Path = None
            for step in where:
                path = (path, step)
            self.by_id[name] = Secret(show(path), paths, key, self._place(*where))
        return name
