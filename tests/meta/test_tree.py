"""The repository's rooms, pages and targets are those promised."""

import re
from pathlib import Path

import pytest

from house.rules.sources import NOT_OURS

ROOT = Path(__file__).parents[2]
TARGETS = ("setup", "demo", "test", "check", "accept", "bench", "fuzz", "mutants", "gen")
PAGES = (
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "LICENSE",
    "CHANGELOG.md",
    "docs/design/dependencies.md",
    "Cargo.lock",
    "requirements/dev.txt",
    ".ci/run",
    ".ci/budget",
)


def test_no_room_is_empty() -> None:
    rooms = [path for path in (ROOT / "src" / "evener").rglob("*") if path.is_dir()]
    rooms += [path / "src" for path in (ROOT / "crates").iterdir() if path.is_dir()]
    empty = [
        str(room.relative_to(ROOT))
        for room in rooms
        if not NOT_OURS & set(room.parts)
        if not any(path.name != "__init__.py" for path in room.iterdir())
    ]
    assert empty == []


@pytest.mark.parametrize("page", PAGES)
def test_the_pages_are_there(page: str) -> None:
    assert (ROOT / page).read_text().strip()


def test_the_makefile_has_its_targets() -> None:
    found = re.findall(r"(?m)^([a-z]+):", (ROOT / "Makefile").read_text())
    assert [target for target in TARGETS if target not in found] == []
