"""Read Rust as text: where functions stand and how long they are, without a compiler.

Rules kept here:
- Comments, strings and characters are blanked before anything is counted, line ends kept.
- Inline tests (`#[cfg(test)]` and what follows it to the file's end) are cut off: they stand last.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_SKIPPED = re.compile(
    r"""//[^\n]*                                # line comment
      | /\*.*?\*/                               # block comment
      | b?r(?P<fence>\#*)".*?"(?P=fence)        # raw string
      | b?"(?:\\.|[^"\\])*"                     # string
      | b?'(?:\\[^\n]{1,10}?|[^'\\\n])'         # character, but not a lifetime
    """,
    re.VERBOSE | re.DOTALL,
)
_FUNCTION = re.compile(r"\bfn\s+(?P<name>\w+)")
_TESTS = re.compile(r"^#\[cfg\(test\)\]", re.MULTILINE)


@dataclass(frozen=True)
class Function:
    """A function with a body; lines count from 1, its signature and braces included."""

    name: str
    line: int
    lines: int
    arguments: tuple[str, ...]


def without_tests(text: str) -> str:
    """The text up to its inline tests."""
    found = _TESTS.search(text)
    return text[: found.start()] if found else text


def blanked(text: str) -> str:
    """The text with comments and literals replaced by spaces; places stay the same."""
    return _SKIPPED.sub(lambda found: re.sub(r"[^\n]", " ", found.group()), text)


def functions(text: str) -> Iterator[Function]:
    """The functions of a file, outside its inline tests, in their order."""
    plain = blanked(without_tests(text))
    for found in _FUNCTION.finditer(plain):
        opening = plain.find("(", found.end())
        closing = _matching(plain, opening, "(", ")")
        body = _body(plain, closing)
        if body is None:
            continue  # a trait's method without one
        end = _matching(plain, body, "{", "}")
        line = plain.count("\n", 0, found.start()) + 1
        lines = plain.count("\n", found.start(), end) + 1
        yield Function(found["name"], line, lines, _arguments(plain[opening + 1 : closing]))


def _body(plain: str, start: int) -> int | None:
    found = re.compile(r"[{;]").search(plain, start)
    return found.start() if found and found.group() == "{" else None


def _matching(plain: str, opening: int, opens: str, closes: str) -> int:
    depth = 0
    for at in range(opening, len(plain)):
        depth += (plain[at] == opens) - (plain[at] == closes)
        if depth == 0:
            return at
    return len(plain) - 1


def _arguments(text: str) -> tuple[str, ...]:
    """Types of the arguments, self left out."""
    pieces, depth, piece = [], 0, ""
    for letter in text:
        depth += (letter in "(<[{") - (letter in ")>]}")
        if letter == "," and depth == 0:
            pieces.append(piece)
            piece = ""
        else:
            piece += letter
    types = [one.partition(":")[2].strip() for one in [*pieces, piece] if ":" in one]
    return tuple(" ".join(one.split()) for one in types)
