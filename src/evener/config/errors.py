"""What can be wrong with a configuration, said so that a person can mend it.

Rules kept here:
- A problem is data: place, path, what was found, what was expected, what to do.
- `ConfigError` carries all problems of a configuration, never only the first.
- A terminal and a log are shown no character that they would obey, wherever it was written.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from evener.errors import EvenerError


class Place(NamedTuple):
    """A place in a file; lines and columns count from 1. A tree built in Python has none."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


class Problem(NamedTuple):
    """One thing that is wrong.

    `path` is where it stands in the tree (`pools.app.servers[1].weight`), `hint` the remedy, empty
    when the expectation says it all.
    """

    place: Place
    path: str
    got: str
    expected: str
    hint: str = ""

    def __str__(self) -> str:
        where = f"{self.path}: " if self.path else ""
        tail = f" ({self.hint})" if self.hint else ""
        return printable(f"{self.place}: {where}found {self.got}, expected {self.expected}{tail}")

    def render(self) -> str:
        """Up to three lines: what is wrong, where, and what to do."""
        lines = [f"found {self.got}, expected {self.expected}"]
        lines.append(f"  at {self.place}" + (f", {self.path}" if self.path else ""))
        if self.hint:
            lines.append(f"  {self.hint}")
        return "\n".join(map(printable, lines))


def printable(text: str) -> str:
    """The text, with an escape for each character that is not shown but obeyed, as an ESC is."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class ConfigError(EvenerError):
    """A configuration that cannot be used; `problems` has every reason, in the file's order."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: problem.place))
        super().__init__("\n".join(map(str, self.problems)))

    def render(self) -> str:
        """All problems for a terminal, each as what, where and what to do."""
        return "\n".join(problem.render() for problem in self.problems)
