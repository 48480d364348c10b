"""YAML text to nodes, and what a regular expression is: the one place of the configuration that
knows the extension.

Rules kept here:
- Keys are text and stand once in a mapping; `<<` is answered with `defaults`.
- Environment references are replaced in values, never in keys.
- All that is wrong with keys and references is reported together; what is no YAML ends at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping as AbstractMapping
from typing import TypeAlias

from evener import _engine
from evener.config.environment import UnknownVariableError, expand
from evener.config.errors import ConfigError, Place, Problem
from evener.config.node import Mapping, Node, Scalar, Sequence
from evener.config.report import Path, Report

_Event: TypeAlias = tuple[int, int, int, int, str]
_MAPPING, _SEQUENCE, _END, _PLAIN, _QUOTED = range(5)
_SCALARS = (_PLAIN, _QUOTED)
_SMALLEST = (
    'the smallest is `listeners: {web: {bind: ":8080", pool: app}}` and '
    '`pools: {app: ["10.0.0.1:8000"]}`'
)


def parse(
    text: str,
    file: str,
    env: AbstractMapping[str, str],
    report: Report,
    expected: tuple[str, str] = ("a configuration", _SMALLEST),
) -> Node:
    """The tree of a text; `expected` is what an empty one is told: what it should be, and the
    smallest there is.

    Raises:
        ConfigError: the text is not YAML, or nothing is written in it.
    """
    try:
        events = _engine.yaml_events(text)
    except _engine.YamlError as error:
        line, column, message, hint = error.args
        raise ConfigError(
            [Problem(Place(file, line, column), "", message, "YAML", hint or "")]
        ) from None
    if not events:
        # A file that an editor or a full disk cut to nothing must not take everything down.
        raise ConfigError([Problem(Place(file, 1, 1), "", "nothing", *expected)])
    stream = iter(events)
    return _Builder(stream, file, env, report).node(next(stream), None)


def pattern_refusal(pattern: str) -> str | None:
    """What is wrong with a regular expression, by the engine that is to match it, if anything."""
    return _engine.pattern_refusal(pattern)


class _Builder:
    def __init__(
        self,
        stream: Iterator[_Event],
        file: str,
        env: AbstractMapping[str, str],
        report: Report,
    ) -> None:
        self._stream = stream
        self._file = file
        self._env = env
        self._report = report
        self._anchors: dict[int, Node] = {}

    def node(self, event: _Event, path: Path) -> Node:
        kind, line, column, anchor, text = event
        node: Node
        if kind in _SCALARS:
            node = Scalar(text, kind == _PLAIN, self._file, line, column)
            if "${" in text:
                self._expand(node, path)
        elif kind == _MAPPING:
            node = self._mapping(line, column, path)
        elif kind == _SEQUENCE:
            items: list[Node] = []
            for event in self._stream:
                if event[0] == _END:
                    break
                items.append(self.node(event, (path, len(items))))
            node = Sequence(items, self._file, line, column)
        else:
            return self._anchors[anchor]
        if anchor:
            self._anchors[anchor] = node
        return node

    def _mapping(self, line: int, column: int, path: Path) -> Mapping:
        file = self._file
        stream = self._stream
        entries: dict[str, tuple[Scalar, Node]] = {}
        for event in stream:
            kind, key_line, key_column, _, text = event
            if kind == _END:
                break
            if kind not in _SCALARS:
                self._odd_key(event, path)
                continue
            key = Scalar(text, True, file, key_line, key_column)
            here = (path, text)
            value = self.node(next(stream), here)
            if text in entries:
                self._twice(key, here, entries[text][0])
            elif text == "<<":
                self._merge_key(key, here)
            else:
                entries[text] = (key, value)
        return Mapping(entries, file, line, column)

    def _expand(self, node: Scalar, path: Path) -> None:
        try:
            node.text, node.written = expand(node.text, self._env), node.text
        except UnknownVariableError as error:
            self._report.spoil(node, path, node.describe(), error.expected, error.hint)

    def _odd_key(self, event: _Event, path: Path) -> None:
        key = self.node(event, path)
        self.node(next(self._stream), path)
        hint = "a value that begins with `{`, `[` or `*` is text only in quotes: put it in quotes"
        self._report.add(key, path, "a key that is no text", "a name", hint)

    def _twice(self, key: Scalar, path: Path, first: Scalar) -> None:
        got = f"the key `{key.text}` twice"
        self._report.add(key, path, got, "each key once", f"it stands first at {first.place}")

    def _merge_key(self, key: Scalar, path: Path) -> None:
        hint = "what several things share stands in `defaults.listener`, `.pool` or `.route`"
        self._report.add(key, path, "the merge key `<<`", "keys of their own", hint)
