"""Plain texts, lists and dicts written as YAML that reads back to the same.

Block style, one key a line; a text stands in double quotes unless it can't be mistaken for
anything else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

_PLAIN = re.compile(r"[A-Za-z0-9_/](?:[A-Za-z0-9_/.+@%=*~:-]*[A-Za-z0-9_/.+@%=*~-])?")
_SHORT = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def dump(tree: dict[str, Any]) -> str:
    """The tree as YAML text."""
    return "\n".join(_lines(tree)) + "\n"


def _lines(value: Any) -> Iterator[str]:
    """The lines of a mapping, list or text that stands by itself."""
    if isinstance(value, dict) and value:
        for name, item in value.items():
            yield from _after(f"{_scalar(name)}:", item)
    elif isinstance(value, list) and value:
        for item in value:
            first, *rest = _lines(item)
            yield f"- {first}"
            yield from (f"  {line}" for line in rest)
    elif isinstance(value, dict | list):
        yield "{}" if isinstance(value, dict) else "[]"
    else:
        yield _scalar(value)


def _after(key: str, value: Any) -> Iterator[str]:
    """A key and its value: short ones on its line, others indented below."""
    if isinstance(value, dict | list) and value:
        yield key
        yield from (f"  {line}" for line in _lines(value))
    else:
        yield f"{key} {next(iter(_lines(value)))}"


def _scalar(text: str) -> str:
    if _PLAIN.fullmatch(text):
        return text
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(character: str) -> str:
    if character in _SHORT:
        return _SHORT[character]
    if character.isprintable():
        return character
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
