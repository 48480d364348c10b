"""Find the source files of the repository, by room and language.

Known here, once: which folders hold our code, and which of them hold tests.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

CODE_ROOMS = ("src", "crates", "bench", "house", "bpf", "ui", "packaging")
TEST_ROOMS = ("tests", "fuzz", "examples")
NOT_OURS = {"target", "__pycache__", "node_modules", ".venv", "corpus", "dist"}


def files(root: Path, suffixes: Iterable[str], rooms: Iterable[str]) -> Iterator[Path]:
    """Files of those kinds in those rooms, in order of their paths."""
    wanted = set(suffixes)
    for room in rooms:
        for path in sorted((root / room).rglob("*")):
            ours = not NOT_OURS & set(path.relative_to(root).parts)
            if ours and path.suffix in wanted and path.is_file():
                yield path


def code(root: Path, *suffixes: str) -> Iterator[Path]:
    """Files of the product and of its house; in a crate also its own tests folder."""
    return files(root, suffixes, CODE_ROOMS)


def everything(root: Path, *suffixes: str) -> Iterator[Path]:
    """Code and tests."""
    return files(root, suffixes, (*CODE_ROOMS, *TEST_ROOMS))


def is_test(path: Path, root: Path) -> bool:
    """Whether a file holds tests only."""
    parts = path.relative_to(root).parts
    return parts[0] in TEST_ROOMS or "tests" in parts or path.stem in {"tests", "simulation"}
