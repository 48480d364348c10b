"""Run all rules, or those named, and print their offences. 1 when there are any."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

RULES = (
    "sizes",
    "charters",
    "suppressions",
    "crate_graph",
    "engine_door",
    "advisories",
    "locked",
    "licences",
    "generated",
)


def main(names: list[str], root: Path) -> int:
    """Prints every offence of the named rules (all without names)."""
    count = 0
    for name in names or RULES:
        found: list[str] = importlib.import_module(f"house.rules.{name}").offences(root)
        count += len(found)
        for offence in found:
            print(f"{name}: {offence}")
    print(f"{len(names or RULES)} rules, {count} offences")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], Path(__file__).parents[2]))
