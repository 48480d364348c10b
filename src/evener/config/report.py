"""The problems found so far, each once, and the paths they are found at."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import TypeAlias

from evener.config.errors import ConfigError, Problem, printable
from evener.config.node import Node

# A path is built at every step down the tree but printed only in an error, so it is a linked
# list: (path of the parent, key or index). None is the root.
Path: TypeAlias = "tuple[Path, str | int] | None"


class Report:
    """Collects problems; what is reached twice, through a default or an alias, counts once."""

    def __init__(self) -> None:
        self.partial = False
        """Whether what is read may lack keys: it will be merged under something."""
        self.warnings: list[str] = []
        """What is no error, a line each."""
        self._spoiled: set[int] = set()
        self._problems: dict[tuple[object, ...], Problem] = {}

    def add(self, node: Node, path: Path, got: str, expected: str, hint: str = "") -> None:
        """Notes that `node` is wrong."""
        if id(node) in self._spoiled:
            return
        place = node.place
        # Without lines (a tree built in Python) only the path tells two problems apart.
        identity = (place, got, expected) if place.line else (path, got, expected)
        self._problems.setdefault(identity, Problem(place, show(path), got, expected, hint))

    def warn(self, node: Node, path: Path, words: str) -> None:
        """Notes something that can hardly be meant, but is no error."""
        self.warnings.append(printable(f"{node.place}: {show(path)}: {words}"))

    def spoil(self, node: Node, path: Path, got: str, expected: str, hint: str = "") -> None:
        """Notes that `node` is wrong, and that nothing more need be said of it."""
        self.add(node, path, got, expected, hint)
        self._spoiled.add(id(node))

    def problems(self) -> tuple[Problem, ...]:
        """All problems, in the order of the files."""
        return tuple(sorted(self._problems.values(), key=lambda problem: problem.place))

    def raise_if_any(self) -> None:
        """Raises ConfigError with all problems, if there are any."""
        if self._problems:
            raise ConfigError(self._problems.values())


def show(path: Path) -> str:
    """The path as people write it: `pools.app.servers[1].weight`."""
    steps: list[str] = []
    while path is not None:
        path, step = path
        steps.append(f"[{step}]" if isinstance(step, int) else f".{step}")
    return "".join(reversed(steps)).removeprefix(".")


def nearest(word: str, known: Iterable[str]) -> str:
    """The hint that names the known word most like this one, or nothing."""
    matches = get_close_matches(word.lower(), list(known), 1)
    return f"did you mean `{matches[0]}`?" if matches else ""
