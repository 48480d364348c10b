"""Every module opens with its charter: what it is for, in words, before its first line of code.

An empty `__init__.py` in a room is an offence too: the room's duty is its first line.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

from house.rules.sources import everything

SHORTEST = 20
_OPENING = {
    ".rs": re.compile(r"\A(//!.*\n)+"),
    ".c": re.compile(r"\A/\*.*?\*/", re.DOTALL),
    ".h": re.compile(r"\A/\*.*?\*/", re.DOTALL),
    ".lua": re.compile(r"\A(--.*\n)+"),
    ".sh": re.compile(r"\A#!.*\n(#.*\n)+"),
}


def offences(root: Path) -> list[str]:
    """Modules whose charter is missing or too short to say anything."""
    found = []
    for path in everything(root, ".py", *_OPENING):
        if len(_charter(path)) < SHORTEST:
            found.append(f"{path.relative_to(root)}:1: no charter: say what this module is for")
    return found


def _charter(path: Path) -> str:
    text = path.read_text()
    if path.suffix == ".py":
        return ast.get_docstring(ast.parse(text)) or ""
    opening = _OPENING[path.suffix].match(text)
    return opening.group() if opening else ""
