"""Secrets of a plan: which files each is read from. Contents are read and judged by the supervisor.

A plan names secrets by id; their contents travel apart. An id is made of the files' paths, so the
same files are one secret however often they are used.
"""

from __future__ import annotations

from typing import NamedTuple


class Secret(NamedTuple):
    """A secret and the files that make it.

    Attributes:
        where: the key of the configuration that names it.
        files: paths, read and joined in this order.
        key: whether a private key belongs to it.
    """

    where: str
    files: tuple[str, ...]
    key: bool


class Secrets:
    """The secrets that a plan names, each once."""

    def __init__(self) -> None:
        self.by_id: dict[str, Secret] = {}

    def add(self, *files: str | None, key: bool, where: str) -> str:
        """Notes a secret made of these files and gives its id."""
        paths = tuple(file for file in files if file is not None)
        name = ("key:" if key else "ca:") + "|".join(paths)
        self.by_id.setdefault(name, Secret(where, paths, key))
        return name
