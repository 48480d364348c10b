"""A silenced tool is told why, on the same line; a silenced test is not a test.

- `noqa`, `type: ignore` and `pragma` need a code and a further comment; `#[allow(…)]` and
  `#[expect(…)]` need `reason = "…"`.
- Skipped, ignored and expected-to-fail tests, and notes of work left undone, are never there.
"""

from __future__ import annotations

import re
from pathlib import Path

from house.rules.sources import everything

_WITHOUT_REASON = {
    "noqa": re.compile(r"#\s*noqa(?!: [A-Z0-9, ]+\s+#\s*\w)"),
    "type: ignore": re.compile(r"#\s*type:\s*ignore(?!\[[\w, -]+\]\s*#\s*\w)"),
    "pragma": re.compile(r"#\s*pragma:(?!.*#\s*\w)"),
}
_ALLOW = re.compile(r"#!?\[(?:allow|expect)\((?P<inside>[^\]]*)\)\]")
_NEVER = {
    "a skipped test": re.compile(r"pytest\.(?:mark\.)?(?:skip|skipif|xfail|importorskip)\b"),
    "an ignored test": re.compile(r"#\[ignore\b"),
    "work left undone": re.compile(r"\b(?:TODO|FIXME|XXX)\b"),
}
# This file and its test speak of what they forbid.
SPEAKERS = {"suppressions.py", "test_suppressions.py"}


def offences(root: Path) -> list[str]:
    """Suppressions without a reason, and tests that are told not to run."""
    found = []
    for path in everything(root, ".py", ".pyi", ".rs", ".c", ".h", ".ts", ".svelte", ".sh"):
        if path.name in SPEAKERS:
            continue
        text = path.read_text()
        where = path.relative_to(root)
        for number, line in enumerate(text.splitlines(), 1):
            found += [f"{where}:{number}: {what}" for what in _of_line(line)]
        for allow in _ALLOW.finditer(text):
            if "reason" not in allow["inside"]:
                number = text.count("\n", 0, allow.start()) + 1
                found.append(f"{where}:{number}: {allow.group()} without a reason")
    return found


def _of_line(line: str) -> list[str]:
    silent = [
        f"{name} without a code and a reason"
        for name, p in _WITHOUT_REASON.items()
        if p.search(line)
    ]
    return silent + [what for what, pattern in _NEVER.items() if pattern.search(line)]
