"""Types made of other types: lists, named maps, sections, and "this or a word".

One generic walk for the whole language: the short forms, the merge of defaults and the reading of
sections are decided here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import fields, replace
from functools import cached_property
from typing import Any, ClassVar

from evener.config.model import BAD, EMPTY_HINT, Form, Key, RejectError, ScalarType, Type
from evener.config.node import Mapping, Node, Scalar, Sequence, from_python
from evener.config.report import Path, Report, nearest


class ListOf(Type):
    """A list; one thing alone is a list of it."""

    def __init__(self, item: Type, expected: str, *, least: int = 1, merges: bool = False) -> None:
        """`merges`: one thing over one thing merges; without it, and with lists, it replaces."""
        self._item = item
        self._least = least
        self._merges = merges
        self.expected = expected
        self.example = item.example

    def read(self, node: Node, path: Path, report: Report) -> Any:
        nodes = node.items if isinstance(node, Sequence) else [node]
        if len(nodes) < self._least:
            return self.refuse(node, path, report)
        read = self._item.read
        values = [read(item, (path, index), report) for index, item in enumerate(nodes)]
        if isinstance(self._item, Section):
            # Rules between things name them by their places, which what is BAD must not shift.
            return tuple(values)
        return tuple([value for value in values if value is not BAD])

    def write(self, value: Any) -> Any:
        return [self._item.write(item) for item in value]

    def merge(self, base: Node, over: Node) -> Node:
        if not self._merges or isinstance(base, Sequence) or isinstance(over, Sequence):
            return over
        return self._item.merge(base, over)

    def json_schema(self) -> dict[str, Any]:
        item = self._item.json_schema()
        return {"anyOf": [item, {"type": "array", "items": item, "minItems": self._least}]}

    def inner(self) -> Iterable[Type]:
        return (self._item,)


class MapOf(Type):
    """A mapping from names to values of one type; `names` reads the keys."""

    def __init__(self, names: ScalarType, value: Type, expected: str) -> None:
        self._names = names
        self._value = value
        self.expected = expected

    @property
    def value(self) -> Type:
        """The type of the values."""
        return self._value

    def read(self, node: Node, path: Path, report: Report) -> Any:
        if not isinstance(node, Mapping):
            return self.refuse(node, path, report)
        values: dict[str, Any] = {}
        first: dict[str, Scalar] = {}
        for key, value in node.entries.values():
            here = (path, key.text)
            name = self._names.read(key, here, report)
            read = self._value.read(value, here, report)
            if name is BAD:
                continue
            if name in first:
                hint = f"it stands first at {first[name].place}"
                report.add(key, here, f"`{name}` twice", "each name once", hint)
            first[name] = key
            if read is not BAD:
                values[name] = read
        return values

    def write(self, value: Any) -> Any:
        return {name: self._value.write(item) for name, item in value.items()}

    def merge(self, base: Node, over: Node) -> Node:
        if isinstance(base, Mapping) and isinstance(over, Mapping):
            entries = base.entries | over.entries
            return Mapping(entries, over.file, over.line, over.column)
        return over

    def json_schema(self) -> dict[str, Any]:
        return {"type": "object", "additionalProperties": self._value.json_schema()}

    def inner(self) -> Iterable[Type]:
        return (self._value,)


class Or(Type):
    """A word that means "none", or a value of another type."""

    # Someone who may write `off` may also write what switches are written with.
    _SPELLINGS: ClassVar[dict[str, tuple[str, ...]]] = {"off": ("off", "no", "false")}

    def __init__(self, word: str, type: Type, *, value: Any = None) -> None:
        """`value`: what the word is held as."""
        self.word = word
        self.type = type
        self.value = value
        # None is the word, unless the word is held as something else.
        self.writes_none = value is None
        self.expected = f"{type.expected}, or `{word}`"
        self.example = type.example
        self._words = self._SPELLINGS.get(word, (word,))

    def read(self, node: Node, path: Path, report: Report) -> Any:
        if self._is_word(node):
            return self.value
        if isinstance(node, Scalar) and isinstance(self.type, ScalarType):
            if node.text:
                try:
                    return self.type.parse(node.text)
                except RejectError as reason:
                    expected = f"{reason.expected or self.type.expected}, or `{self.word}`"
                    report.add(node, path, node.describe(), expected, reason.hint)
                    return BAD
            return self.refuse(node, path, report, EMPTY_HINT)
        if isinstance(self.type, Section) and not isinstance(self.type.expand(node), Mapping):
            return self.refuse(node, path, report)
        return self.type.read(node, path, report)

    def write(self, value: Any) -> Any:
        return self.word if value == self.value else self.type.write(value)

    def expand(self, node: Node) -> Node:
        return node if self._is_word(node) else self.type.expand(node)

    def merge(self, base: Node, over: Node) -> Node:
        if self._is_word(base) or self._is_word(over):
            return over
        return self.type.merge(base, over)

    def json_schema(self) -> dict[str, Any]:
        words = [*self._words, *([False] if self.word == "off" else [])]
        return {"anyOf": [{"enum": words}, self.type.json_schema()]}

    def inner(self) -> Iterable[Type]:
        return (self.type,)

    def _is_word(self, node: Node) -> bool:
        # As switches, which are read in any case.
        return isinstance(node, Scalar) and node.text.lower() in self._words


class Section(Type):
    """A mapping with the keys of one section class."""

    def __init__(self, cls: type | Callable[[], type], expected: str) -> None:
        """`cls` may be a function that gives the class: a section can hold its own kind."""
        self._cls = cls
        self.expected = expected

    @cached_property
    def cls(self) -> type:
        """The class of the section."""
        return self._cls if isinstance(self._cls, type) else self._cls()

    # What a class may say of itself, beside its keys: `judge`, rules between them; `silent`, keys
    # without a meaning for its kind; `completed`, itself with what its kind brings along.
    @cached_property
    def _judges(self) -> bool:
        return hasattr(self.cls, "judge")

    @cached_property
    def _silences(self) -> bool:
        return hasattr(self.cls, "silent")

    @cached_property
    def _completes(self) -> bool:
        return hasattr(self.cls, "completed")

    @cached_property
    def form(self) -> Form:
        """How it may be written."""
        form: Form = self.cls.__form__  # type: ignore[attr-defined]  # set by @section
        return form

    @cached_property
    def keys(self) -> dict[str, Key]:
        """The section's keys by their names, in the order of the class."""
        keys = {}
        for declared in fields(self.cls):
            type, default, doc, reason, example, unset, live, name = declared.metadata["key"]
            name = name or declared.name
            keys[name] = Key(name, declared.name, type, default, doc, reason, example, unset, live)
        return keys

    def read(self, node: Node, path: Path, report: Report) -> Any:
        mapping = self.expand(node)
        if not isinstance(mapping, Mapping):
            # "expected times" says little to who wrote `off` and does not know which there are.
            a_word = isinstance(node, Scalar) and node.text and not self.form.kinds
            hint = "it has the keys " + ", ".join(self.keys) if a_word else ""
            return self.refuse(node, path, report, hint)
        keys = self.keys
        values = {} if report.partial else self.defaults.copy()
        for name, (key_node, value) in mapping.entries.items():
            key = keys.get(name)
            if key is None:
                self._unknown(key_node, (path, name), report)
                continue
            read = key.type.read(value, (path, name), report)
            if read is not BAD:
                values[key.attribute] = read
            elif key.required:
                values[key.attribute] = BAD
        if report.partial:
            return None
        if self.form.kinds and not self._one_kind(mapping, path, report):
            return BAD
        return self._made(values, mapping, path, report)

    def write(self, value: Any) -> Any:
        plain = {}
        silent = value.silent() if self._silences else ()
        for name, key in self.keys.items():
            held = getattr(value, key.attribute)
            if name in silent:
                continue
            if held is None and not key.type.writes_none:
                continue
            # Nothing written and nothing asked: an empty list would not be read again.
            if held == () and key.default == ():
                continue
            plain[name] = key.type.write(held)
        return plain

    def expand(self, node: Node) -> Node:
        form = self.form
        if isinstance(node, Mapping):
            return self._inlined(node) if form.inline else node
        if isinstance(node, Scalar) and node.text in form.kinds and node.text != form.main:
            empty = Scalar("", True, node.file, node.line, node.column)
            return Mapping({node.text: (node, empty)}, node.file, node.line, node.column)
        if not form.main or (isinstance(node, Scalar) and not node.text):
            return node
        if isinstance(node, Sequence) and not isinstance(self.keys[form.main].type, ListOf):
            return node
        key = Scalar(form.main, True, node.file, node.line, node.column)
        return Mapping({form.main: (key, node)}, node.file, node.line, node.column)

    def merge(self, base: Node, over: Node) -> Node:
        base, over = self.expand(base), self.expand(over)
        if not isinstance(base, Mapping) or not isinstance(over, Mapping):
            return over
        entries = self._kept(base, over)
        for name, (key_node, value) in over.entries.items():
            key = self.keys.get(name)
            merged = key.type.merge(entries[name][1], value) if key and name in entries else value
            entries[name] = (key_node, merged)
        return Mapping(entries, over.file, over.line, over.column)

    def json_schema(self) -> dict[str, Any]:
        return {"$ref": f"#/$defs/{self.cls.__name__}"}

    def inner(self) -> Iterable[Type]:
        return [key.type for key in self.keys.values()]

    @cached_property
    def defaults(self) -> dict[str, Any]:
        """The values of all keys that are not written, by attribute."""
        report = Report()
        defaults = {}
        for name, key in self.keys.items():
            if key.default is None or key.default == ():
                defaults[key.attribute] = key.default
            elif not key.required:
                node = from_python(key.default, "(default)")
                defaults[key.attribute] = key.type.read(node, (None, name), report)
        report.raise_if_any()
        return defaults

    def _made(self, values: dict[str, Any], mapping: Mapping, path: Path, report: Report) -> Any:
        if len(values) < len(self.keys):
            self._missing(values, mapping, path, report)
            return BAD
        if BAD in values.values():
            return BAD
        made = self.cls(**values)
        if self._silences and (silent := made.silent()):
            # What defaults say of other kinds is not this thing's business.
            attributes = [self.keys[name].attribute for name in silent]
            made = replace(made, **{each: self.defaults[each] for each in attributes})
        if self._judges:

            def fail(name: str, got: str, expected: str, hint: str = "") -> None:
                at = mapping.entries[name][1] if name in mapping.entries else mapping
                report.add(at, (path, name), got, expected, hint)

            made.judge(fail, mapping.entries)
        return made.completed() if self._completes else made

    def _missing(
        self, values: dict[str, Any], mapping: Mapping, path: Path, report: Report
    ) -> None:
        for name, key in self.keys.items():
            if key.attribute not in values:
                hint = f"for example `{name}: {key.example}`" if key.example else ""
                report.add(mapping, path, f"no `{name}`", f"`{name}`: {key.type.expected}", hint)

    def _unknown(self, key: Scalar, path: Path, report: Report) -> None:
        if key.text in self.form.planned:
            expected = "keys that are built"
            hint = f"`{key.text}` is planned but not built yet"
        elif key.text in self._inlinable:
            inline = self.form.inline
            expected = f"one of `{inline}.{key.text}` and its short form"
            hint = f"write it into `{inline}`, once"
        else:
            known = list(self._words())
            expected = "one of " + ", ".join(known)
            hint = nearest(key.text, known)
        report.add(key, path, f"the key `{key.text}`", expected, hint)

    def _words(self) -> Iterable[str]:
        yield from self.keys
        yield from self._inlinable

    @cached_property
    def _inlinable(self) -> tuple[str, ...]:
        """Keys of the inline section, which may stand here."""
        if not self.form.inline:
            return ()
        inline = self.keys[self.form.inline].type
        assert isinstance(inline, Section)
        return tuple(inline.keys)

    def _one_kind(self, mapping: Mapping, path: Path, report: Report) -> bool:
        chosen = [name for name in mapping.entries if name in self.form.kinds]
        if len(chosen) == 1:
            return True
        if not chosen and any(map(self._may_be_a_kind, mapping.entries)):
            return False  # it was reported as the unknown key that it is
        words = " or ".join(f"`{name}`" for name in self.form.kinds)
        got = " and ".join(f"`{name}`" for name in chosen) or "none of them"
        report.add(mapping, path, got, f"exactly one of {words}")
        return False

    def _may_be_a_kind(self, name: str) -> bool:
        """Whether an unknown key is what was to say the kind: misspelt, or not built."""
        unknown = name not in self.keys
        return unknown and (name in self.form.planned or bool(nearest(name, self.form.kinds)))

    def _kept(self, base: Mapping, over: Mapping) -> dict[str, tuple[Scalar, Node]]:
        """What of `base` stands when `over` is laid over it: another kind replaces."""
        before, after = self._kind(base), self._kind(over)
        if before is None or after is None or before == after:
            return dict(base.entries)
        if self.form.whole_kind:
            return {}
        return {n: entry for n, entry in base.entries.items() if n not in self.form.kinds}

    def _kind(self, mapping: Mapping) -> str | None:
        if self.form.kind_key:
            entry = mapping.entries.get(self.form.kind_key)
            return entry[1].text if entry and isinstance(entry[1], Scalar) else None
        return next((name for name in mapping.entries if name in self.form.kinds), None)

    def _inlined(self, node: Mapping) -> Mapping:
        """The keys that stand here for the inline section, moved into it."""
        inline = self.keys[self.form.inline].type
        assert isinstance(inline, Section)
        moved = {n: e for n, e in node.entries.items() if n in inline.keys and n not in self.keys}
        if not moved:
            return node
        rest = {n: e for n, e in node.entries.items() if n not in moved}
        key, value = rest.get(self.form.inline, (next(iter(moved.values()))[0], None))
        if isinstance(value, Mapping):
            both = next((name for name in moved if name in value.entries), None)
            if both is not None:
                return node
            moved = value.entries | moved
        elif value is not None:
            return node
        rest[self.form.inline] = (key, Mapping(moved, node.file, node.line, node.column))
        return Mapping(rest, node.file, node.line, node.column)


class Partial(Type):
    """Some keys of a section, to be merged under each thing of its kind; held as nothing."""

    def __init__(self, section: Section) -> None:
        self.section = section
        self.expected = f"keys of {section.expected}"

    def read(self, node: Node, path: Path, report: Report) -> Any:
        before, report.partial = report.partial, True
        self.section.read(node, path, report)
        report.partial = before
        return None

    def write(self, value: Any) -> Any:
        raise AssertionError("defaults are merged into the long form, they do not stand in it")

    def json_schema(self) -> dict[str, Any]:
        return self.section.json_schema()
