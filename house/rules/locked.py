"""Every Python package we name is in the lock, so that none is installed at whatever version."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

LOCK = Path("requirements/dev.txt")
WANTED = Path("requirements/dev.in")
_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*")


def offences(root: Path) -> list[str]:
    """Packages that are asked for and not locked."""
    found = (_NAME.match(line) for line in (root / LOCK).read_text().splitlines())
    locked = {_plain(one.group()) for one in found if one}
    return [
        f"{where}:1: {name} is not in {LOCK}: make lock"
        for where, name in _wanted(root)
        if _plain(name) not in locked
    ]


def _wanted(root: Path) -> Iterator[tuple[str, str]]:
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    for line in project.get("dependencies", []):
        yield "pyproject.toml", line
    for line in (root / WANTED).read_text().splitlines():
        if line and not line.startswith("#"):
            yield str(WANTED), line


def _plain(requirement: str) -> str:
    """The package's name as registries compare it (PEP 503)."""
    found = _NAME.match(requirement)
    return re.sub(r"[-_.]+", "-", found.group() if found else requirement).lower()
