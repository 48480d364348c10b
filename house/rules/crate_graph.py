"""Crates know only whom DESIGN.md §4 lets them know, and say how they hold unsafe code.

Dependencies for tests and builds are free; what ships is judged.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

# Crate → crates of ours it may know. A crate that is not here may not exist.
MAY_KNOW: dict[str, frozenset[str]] = {
    "evener-plan": frozenset(),
    "evener-text": frozenset(),
    "evener-proto": frozenset(),
    "evener-stats": frozenset(),
    "evener-balance": frozenset({"evener-plan"}),
    "evener-kernel": frozenset({"evener-plan"}),
    "evener-lab": frozenset({"evener-balance", "evener-plan"}),
    "evener-engine": frozenset(
        {"evener-kernel", "evener-proto", "evener-stats", "evener-balance", "evener-plan"}
    ),
    "evener-py": frozenset(
        {"evener-engine", "evener-lab", "evener-text", "evener-plan", "evener-stats"}
    ),
}
# Pure crates: no runtime, no binding, no system call, and no unsafe code at all.
PURE = {"evener-plan", "evener-text", "evener-proto", "evener-balance", "evener-lab"}
# Only bytes someone else has mapped: no runtime either, but a small module may be unsafe.
LEAVES = PURE | {"evener-stats"}
NOT_IN_LEAVES = {"tokio", "pyo3", "mio", "socket2", "rustix", "libc", "nix", "rand"}


def offences(root: Path) -> list[str]:
    """Edges that are not allowed, and crates without their word on unsafe code."""
    found = []
    for manifest in sorted((root / "crates").glob("*/Cargo.toml")):
        where = manifest.relative_to(root)
        crate = tomllib.loads(manifest.read_text())
        name = crate["package"]["name"]
        if name not in MAY_KNOW:
            found.append(f"{where}:1: {name} is no crate of DESIGN.md §4")
            continue
        found += [f"{where}:1: {what}" for what in _edges(name, crate)]
        library = manifest.parent / "src" / "lib.rs"
        word = "forbid" if name in PURE else "(deny|forbid)"
        if not re.search(rf"^#!\[{word}\(unsafe_code\)\]", library.read_text(), re.MULTILINE):
            least = "forbid" if name in PURE else "deny"
            found.append(f"{library.relative_to(root)}:1: lacks #![{least}(unsafe_code)]")
        if name in LEAVES and not (manifest.parent / "clippy.toml").exists():
            found.append(f"{where}:1: a leaf has a clippy.toml that bans clocks and sockets")
    return found


def _edges(name: str, crate: dict[str, Any]) -> list[str]:
    known = set(crate.get("dependencies", {}))
    for target in crate.get("target", {}).values():
        known |= set(target.get("dependencies", {}))
    ours = {one for one in known if one.startswith("evener-")}
    found = [f"{name} may not know {one}" for one in sorted(ours - MAY_KNOW[name])]
    if name in LEAVES:
        found += [
            f"{name} is a leaf and may not know {one}" for one in sorted(known & NOT_IN_LEAVES)
        ]
    return found
