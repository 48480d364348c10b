"""The tree as it was written: texts, lists and mappings, each with its place.

Rules kept here:
- A node never changes once it is built, so that an alias may share it.
- A scalar is text; its type is known to the key that reads it.
- What was built in Python becomes the same nodes: true, 5 and None are taken as their text.
"""

from __future__ import annotations

from collections.abc import Mapping as AbstractMapping
from os import PathLike, fspath
from typing import Any

from evener.config.errors import Place

IN_PYTHON = "(Python)"


class Node:
    """Anything that can stand in the tree."""

    __slots__ = ("column", "file", "line")

    def __init__(self, file: str, line: int, column: int) -> None:
        self.file = file
        self.line = line
        self.column = column

    @property
    def place(self) -> Place:
        """Where it begins."""
        return Place(self.file, self.line, self.column)

    def describe(self) -> str:
        """What it is, for the words after "found"."""
        raise NotImplementedError


class Scalar(Node):
    """A text. `plain` tells that no quotes were around it: an empty plain one is no value.

    `written` is set where the text had references to the environment: the text before them.
    """

    __slots__ = ("plain", "text", "written")
    plain: bool
    text: str
    written: str

    def __init__(self, text: str, plain: bool, file: str, line: int, column: int) -> None:
        self.text = text
        self.plain = plain
        self.file = file
        self.line = line
        self.column = column

    def describe(self) -> str:
        if not self.text:
            return "an empty value"
        shown = self.text if len(self.text) <= 60 else self.text[:57] + "..."
        return f"`{shown}`"


class Sequence(Node):
    """A list."""

    __slots__ = ("items",)

    def __init__(self, items: list[Node], file: str, line: int, column: int) -> None:
        self.items = items
        self.file = file
        self.line = line
        self.column = column

    def describe(self) -> str:
        return "a list" if self.items else "an empty list"


class Mapping(Node):
    """Keys, each with the scalar that wrote it and its value."""

    __slots__ = ("entries",)

    def __init__(
        self, entries: dict[str, tuple[Scalar, Node]], file: str, line: int, column: int
    ) -> None:
        self.entries = entries
        self.file = file
        self.line = line
        self.column = column

    def describe(self) -> str:
        return "a mapping" if self.entries else "an empty mapping"


def plain(node: Node) -> Any:
    """The tree as it was written: texts, lists and dicts."""
    if isinstance(node, Mapping):
        return {name: plain(value) for name, (_, value) in node.entries.items()}
    if isinstance(node, Sequence):
        return [plain(item) for item in node.items]
    assert isinstance(node, Scalar)
    return getattr(node, "written", node.text)


def from_python(value: Any, file: str = IN_PYTHON) -> Node:
    """The nodes of a tree built in Python.

    Raises:
        TypeError: something in it is neither text, number, bool, None, path, list nor mapping.
    """
    if isinstance(value, str):
        return Scalar(value, False, file, 0, 0)
    if isinstance(value, AbstractMapping):
        entries = {}
        for name, item in value.items():
            key = Scalar(_text(name), True, file, 0, 0)
            entries[key.text] = (key, from_python(item, file))
        return Mapping(entries, file, 0, 0)
    if isinstance(value, list | tuple):
        return Sequence([from_python(item, file) for item in value], file, 0, 0)
    return Scalar(_text(value), True, file, 0, 0)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, PathLike):
        return str(fspath(value))
    raise TypeError(f"a configuration holds text, numbers, lists and mappings, not {value!r}")
