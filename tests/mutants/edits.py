"""Read the edits: which clause each is about, what it changes where, and which test must notice.

A file here holds `[[mutant]]` tables with the keys of `Mutant`; `old` and `new` are lines of the
file as they stand, and `test` is written as a proof of the acceptance page.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from tests.acceptance.page import Kind, Proof, proof

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Mutant:
    """One edit.

    Attributes:
        clause: The promise it breaks.
        what: What goes wrong with it, in a few words.
        file: The file, from the root.
        old: What stands there, exactly once.
        new: What stands there instead.
        test: The test that must fail.
    """

    clause: str
    what: str
    file: str
    old: str
    new: str
    test: Proof

    def applied(self, text: str) -> str:
        """The file's text with the edit.

        Raises:
            StaleError: What it changes does not stand there exactly once.
        """
        count = text.count(self.old)
        if count != 1:
            raise StaleError(f"{self.clause}: what it changes stands {count} times in {self.file}")
        return text.replace(self.old, self.new)

    @property
    def through_python(self) -> bool:
        """Whether it is in Rust and noticed by a test in Python, which needs the extension."""
        return self.file.startswith("crates/") and self.test.kind is Kind.PYTEST

    @property
    def room(self) -> tuple[str, ...]:
        """What is built for it: edits of one room are made one after the other."""
        if self.test.kind is Kind.CARGO:
            return ("cargo", self.test.group)
        return ("pytest", "with the extension") if self.through_python else ("pytest",)


class StaleError(Exception):
    """An edit no longer applies."""


def mutants(folder: Path = HERE) -> list[Mutant]:
    """All edits, by file and in the order they stand there."""
    found = []
    for path in sorted(folder.glob("*.toml")):
        with path.open("rb") as file:
            for table in tomllib.load(file)["mutant"]:
                found.append(Mutant(**{**table, "test": proof(table["test"])}))
    return found


def stale(root: Path, every: list[Mutant]) -> list[str]:
    """A line for each edit that no longer applies, or changes nothing."""
    found = []
    for mutant in every:
        path = root / mutant.file
        if not path.is_file():
            found.append(f"{mutant.clause}: no file {mutant.file}")
            continue
        text = path.read_text()
        try:
            if mutant.applied(text) == text:
                found.append(f"{mutant.clause}: changes nothing in {mutant.file}")
        except StaleError as error:
            found.append(str(error))
    return found
