"""Dependencies with a history stay at or above the fix: the table in SECURITY.md against the lock.

Advisory databases are a service; this floor needs none.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

_LINE = re.compile(r"^\| `(?P<name>[\w-]+)` \| (?P<least>\d+(?:\.\d+)*) \|", re.MULTILINE)


def offences(root: Path) -> list[str]:
    """Locked crates below their floor."""
    floors = {
        one["name"]: one["least"] for one in _LINE.finditer((root / "SECURITY.md").read_text())
    }
    if not floors:
        return ["SECURITY.md:1: has no table of least versions"]
    locked = tomllib.loads((root / "Cargo.lock").read_text())["package"]
    return [
        f"Cargo.lock:1: {package['name']} {package['version']} is below {floors[package['name']]}"
        for package in locked
        if package["name"] in floors and _older(package["version"], floors[package["name"]])
    ]


def _older(version: str, least: str) -> bool:
    plain = re.split(r"[-+]", version)[0]
    return [int(part) for part in plain.split(".")] < [int(part) for part in least.split(".")]
