"""How the schema is written down: keys, sections, and what a type must be able to do.

A section of the language is a frozen dataclass whose fields are declared with `key(...)`: type,
default, meaning, reason of the default, example. Everything else (reading, merging, long form,
reference page, JSON Schema, `explain`) is derived from these declarations.

Rules kept here:
- A default is written as a person would write it and is read by its key's own type.
- Types know nothing of particular keys.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, TypeAlias, TypeVar, dataclass_transform

from evener.config.node import Node, Scalar
from evener.config.report import Path, Report

BAD: Final[Any] = type("Bad", (), {"__repr__": lambda _: "BAD"})()
"""What reading gives after it has reported a problem."""

REQUIRED: Final[Any] = type("Required", (), {"__repr__": lambda _: "REQUIRED"})()
"""The default of a key that must be written."""


class Type:
    """What a key can hold.

    `expected` names it in errors and in the reference: "a time span such as 5s".
    """

    expected: str = ""
    example: str = ""
    writes_none: bool = False

    def read(self, node: Node, path: Path, report: Report) -> Any:
        """The value of a node, or BAD once a problem is reported."""
        raise NotImplementedError

    def write(self, value: Any) -> Any:
        """The long form of a value, as plain texts, lists and dicts."""
        raise NotImplementedError

    def expand(self, node: Node) -> Node:
        """The node in long form, so that it can be merged; problems are left for `read`."""
        return node

    def merge(self, base: Node, over: Node) -> Node:
        """`over` laid over `base`. Only mappings merge; anything else replaces."""
        return over

    def json_schema(self) -> dict[str, Any]:
        """The type as JSON Schema."""
        raise NotImplementedError

    def inner(self) -> Iterable[Type]:
        """Types of what is inside: of items, of values."""
        return ()

    def refuse(self, node: Node, path: Path, report: Report, hint: str = "") -> Any:
        """Reports that the node is not of this type."""
        report.add(node, path, node.describe(), self.expected, hint)
        return BAD


class RejectError(Exception):
    """Raised by a scalar's `parse`: the text is none of the type's values."""

    def __init__(self, hint: str = "", expected: str = "") -> None:
        super().__init__(hint)
        self.hint = hint
        self.expected = expected


class ScalarType(Type):
    """A type whose values are written as one text."""

    allows_empty: ClassVar[bool] = False

    def parse(self, text: str) -> Any:
        """The value of a text.

        Raises:
            RejectError: the text is none of the type's values.
        """
        raise NotImplementedError

    def write(self, value: Any) -> Any:
        return str(value)

    def read(self, node: Node, path: Path, report: Report) -> Any:
        if node.__class__ is not Scalar:
            return self.refuse(node, path, report)
        assert isinstance(node, Scalar)
        if not node.text and (node.plain or not self.allows_empty):
            return self.refuse(node, path, report, EMPTY_HINT)
        try:
            return self.parse(node.text)
        except RejectError as reason:
            expected = reason.expected or self.expected
            report.add(node, path, node.describe(), expected, reason.hint)
            return BAD

    def json_schema(self) -> dict[str, Any]:
        # Editors read `1.2`, `0600` or `true` as numbers and switches before they ask the schema.
        return {"type": ["string", "number", "boolean"], "description": self.expected}


EMPTY_HINT = "leave the key out to get its default; text that YAML swallows belongs in quotes"


Fail: TypeAlias = Callable[[str, str, str, str], None]
"""What a section's `judge` reports with: key, what was found, what was expected, what to do."""


@dataclass(frozen=True, slots=True)
class Key:
    """One key of the language, all there is to know about it."""

    name: str
    attribute: str
    type: Type
    default: Any
    doc: str
    reason: str
    example: str
    unset: str
    live: bool

    @property
    def required(self) -> bool:
        """Whether it must be written."""
        return self.default is REQUIRED


def key(
    type: Type,
    doc: str,
    *,
    default: Any = REQUIRED,
    reason: str = "",
    example: str = "",
    unset: str = "",
    live: bool = True,
    name: str = "",
) -> Any:
    """Declares a key of a section.

    Args:
        type: what it holds.
        doc: its meaning, in a sentence or two.
        default: as a person would write it; None when the key may be absent.
        reason: why the default is what it is.
        example: a value worth showing.
        unset: what happens without the key, when its default is None.
        live: whether a reload can change it.
        name: its name in the language, where that is no Python name.
    """
    parts = (type, default, doc, reason, example, unset, live, name)
    return field(metadata={"key": parts})


@dataclass(frozen=True, slots=True)
class Form:
    """How a section may be written besides the plain mapping of its keys.

    Attributes:
        main: the key that a bare text or list stands for.
        planned: keys of the language that are not built yet.
        kinds: keys of which exactly one chooses the kind.
        kind_key: the key whose value chooses the kind.
        whole_kind: whether another kind replaces the whole section when merging, or only the
            keys that choose.
        inline: a section-typed key whose own keys may stand in this section itself.
    """

    main: str = ""
    planned: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    kind_key: str = ""
    whole_kind: bool = True
    inline: str = ""


_T = TypeVar("_T")


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(key,))
def section(
    *,
    main: str = "",
    planned: str = "",
    kinds: str = "",
    kind_key: str = "",
    whole_kind: bool = True,
    inline: str = "",
) -> Callable[[type[_T]], type[_T]]:
    """Makes a class a section of the language; words separated by spaces, see `Form`."""

    def make(cls: type[_T]) -> type[_T]:
        made = dataclass(frozen=True, slots=True, kw_only=True)(cls)
        form = Form(
            main, tuple(planned.split()), tuple(kinds.split()), kind_key, whole_kind, inline
        )
        made.__form__ = form  # type: ignore[attr-defined]  # read by Section alone
        return made

    return make
