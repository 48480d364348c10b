"""Read the acceptance page: sections of clauses, each with the proofs it names.

A clause is a row `| id | promise | proofs |`; its id begins with its section's number. Proofs
stand in backticks, and all of a clause's must hold:

- `tests/e2e/test_stop.py::test_x`: a pytest node without its parameters, or a whole file
- `evener-engine test_x`: a test of a crate by its function's name; `fuzz` is a crate here, too
- `make check`, `make demo`, `make fuzz`, `.ci/run`: a command of the repository
- `bench 64b-c64`: a row of the bench; `bench` alone is the rule for all of them

Pure: text in, clauses out. Not known here: whether what is named exists, or holds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

PAGE = Path(__file__).parents[1] / "ACCEPTANCE.md"

_SECTION = re.compile(r"## (\d+)\. (.+)")
_ROW = re.compile(r"\| `?(?P<id>\d+\.[\w.-]+)`? \| (?P<promise>.+?) \| (?P<proofs>.+) \|")
COMMANDS = ("make check", "make demo", "make fuzz", ".ci/run")


class Kind(Enum):
    """What carries a proof out."""

    PYTEST = "pytest"
    CARGO = "cargo"
    COMMAND = "command"
    BENCH = "bench"


@dataclass(frozen=True, order=True)
class Proof:
    """Something that can be carried out and holds or fails.

    Attributes:
        group: What is run once for all its proofs: a test file, a crate, a command, the bench.
        name: The test within it, or the row; empty for all of it.
    """

    group: str
    name: str

    @property
    def kind(self) -> Kind:
        """What carries it out."""
        if self.group.startswith("tests/"):
            return Kind.PYTEST
        if self.group == "bench":
            return Kind.BENCH
        return Kind.COMMAND if self.group in COMMANDS else Kind.CARGO

    def __str__(self) -> str:
        between = "::" if self.kind is Kind.PYTEST else " "
        return f"{self.group}{between}{self.name}" if self.name else self.group


@dataclass(frozen=True)
class Clause:
    """One promise of the issue and what proves it."""

    id: str
    promise: str
    proofs: tuple[Proof, ...]

    @property
    def section(self) -> str:
        """The number its id begins with."""
        return self.id.partition(".")[0]


@dataclass(frozen=True)
class Section:
    """A heading of the issue with its clauses."""

    number: str
    title: str
    clauses: tuple[Clause, ...]


class PageError(ValueError):
    """A line of the page that cannot be read."""


def sections(text: str | None = None) -> tuple[Section, ...]:
    """The page's sections in order; of the repository's own page without a text.

    Raises:
        PageError: A row, or a proof in it, has none of the forms above.
    """
    found: list[tuple[str, str, list[Clause]]] = []
    for line in (text if text is not None else PAGE.read_text()).splitlines():
        heading = _SECTION.match(line)
        if heading:
            found.append((heading[1], heading[2], []))
        elif found and line.startswith("|") and not re.match(r"\|( id |-)", line):
            found[-1][2].append(_clause(line))
    return tuple(Section(number, title, tuple(rows)) for number, title, rows in found)


def clauses() -> list[Clause]:
    """All clauses of the repository's page."""
    return [clause for section in sections() for clause in section.clauses]


def _clause(line: str) -> Clause:
    row = _ROW.fullmatch(line.strip())
    if row is None:
        raise PageError(f"no row of id, promise and proofs: {line}")
    proofs = tuple(proof(text) for text in re.findall(r"`([^`]+)`", row["proofs"]))
    if not proofs:
        raise PageError(f"{row['id']} names no proof")
    return Clause(row["id"], row["promise"], proofs)


def proof(text: str) -> Proof:
    """A proof as it is written.

    Raises:
        PageError: It has none of the forms above.
    """
    if text in COMMANDS or text == "bench":
        return Proof(text, "")
    if text.startswith("tests/"):
        file, _, name = text.partition("::")
        return Proof(file, name)
    words = text.split()
    if len(words) == 2 and re.fullmatch(r"evener-\w+|fuzz|bench", words[0]):
        return Proof(words[0], words[1])
    raise PageError(f"no kind of proof: `{text}`")
