"""Pieces: `include`, and the one tree that all files of a configuration make.

Rules kept here:
- A pattern is relative to the file that writes it; its files are taken in sorted order.
- Only named maps merge (`listeners`, `pools`); a name stands once, and both places are told.
- A file includes each other file once: a circle is an error.
"""

from __future__ import annotations

from collections.abc import Mapping as AbstractMapping
from os.path import realpath
from pathlib import Path

from evener.config.errors import ConfigError, Place, Problem
from evener.config.node import Mapping, Node, Scalar, Sequence
from evener.config.report import Report
from evener.config.rules import NO_LISTENER
from evener.config.schema import ROOT
from evener.config.text import parse

NAMED_MAPS = ("listeners", "pools")


def load(path: str, env: AbstractMapping[str, str], report: Report) -> Node:
    """The tree of a file and all that it includes.

    Raises:
        ConfigError: a file can't be read, is not YAML or has nothing in it.
    """
    node = _Pieces(env, report).whole(path)
    _must_listen(node, report)
    return node


class _Pieces:
    def __init__(self, env: AbstractMapping[str, str], report: Report) -> None:
        self._env = env
        self._report = report
        self._open: list[str] = []

    def whole(self, path: str) -> Node:
        """The file's tree, with its includes merged into it."""
        node = self._read(path)
        if not isinstance(node, Mapping) or "include" not in node.entries:
            return node
        _, patterns = node.entries["include"]
        merged = {name: e for name, e in node.entries.items() if name != "include"}
        self._open.append(realpath(path))
        for piece in self._matching(path, patterns):
            self._merge(merged, self.whole(piece))
        self._open.pop()
        return Mapping(merged, node.file, node.line, node.column)

    def _read(self, path: str) -> Node:
        try:
            text = Path(path).read_text(encoding="utf-8")
        except OSError as error:
            got = f"a file that can't be read: {error.strerror}"
            raise ConfigError([Problem(Place(path, 0, 0), "", got, "a readable file")]) from None
        except UnicodeDecodeError as error:
            place = _place_of(error, path)
            raise ConfigError(
                [Problem(place, "", "a byte that is not UTF-8", "UTF-8 text")]
            ) from None
        return parse(text, path, self._env, self._report)

    def _matching(self, path: str, patterns: Node) -> list[str]:
        """Files that the patterns name, sorted pattern by pattern."""
        listed = patterns.items if isinstance(patterns, Sequence) else [patterns]
        found = []
        for pattern in listed:
            if not isinstance(pattern, Scalar) or not pattern.text:
                self._wrong(pattern, pattern.describe(), "a path such as conf.d/*.yaml")
                continue
            try:
                matches = _files(Path(path).parent, pattern.text)
            except ValueError:
                self._wrong(pattern, pattern.describe(), "a path such as conf.d/*.yaml")
                continue
            if not matches and not _MAGIC & {*pattern.text}:
                self._wrong(pattern, pattern.describe(), "a file that exists")
            elif not matches:
                words = f"{pattern.describe()} matches no file"
                self._report.warn(pattern, (None, "include"), words)
            for match in matches:
                if realpath(match) in self._open:
                    self._wrong(pattern, f"`{match}`, which includes this file", "other files")
                else:
                    found.append(str(match))
        return found

    def _merge(self, merged: dict[str, tuple[Scalar, Node]], piece: Node) -> None:
        if not isinstance(piece, Mapping):
            self._report.add(piece, None, piece.describe(), ROOT.expected)
            return
        for name, (key, value) in piece.entries.items():
            if name not in NAMED_MAPS:
                known = " and ".join(f"`{name}`" for name in NAMED_MAPS)
                hint = f"`{name}` stands in the file that includes the others"
                self._report.add(key, (None, name), f"`{name}` in a piece", f"only {known}", hint)
            elif name not in merged:
                merged[name] = (key, value)
            else:
                merged[name] = (merged[name][0], self._joined(name, merged[name][1], value))

    def _joined(self, section: str, first: Node, more: Node) -> Node:
        if not isinstance(first, Mapping) or not isinstance(more, Mapping):
            wrong = more if isinstance(first, Mapping) else first
            self._report.add(wrong, (None, section), wrong.describe(), f"{section} by name")
            return first if isinstance(first, Mapping) else more
        entries = dict(first.entries)
        for name, (key, value) in more.entries.items():
            if name in entries:
                hint = f"it stands first at {entries[name][0].place}"
                path = ((None, section), name)
                self._report.add(key, path, f"the name `{name}` twice", "each name once", hint)
            else:
                entries[name] = (key, value)
        return Mapping(entries, first.file, first.line, first.column)

    def _wrong(self, node: Node, got: str, expected: str) -> None:
        self._report.add(node, (None, "include"), got, expected)


def _place_of(error: UnicodeDecodeError, path: str) -> Place:
    before = error.object[: error.start].decode()
    line = before.rpartition("\n")[2]
    return Place(path, before.count("\n") + 1, len(line) + 1)


def _must_listen(root: Node, report: Report) -> None:
    """Reports a whole configuration that listens nowhere: a reload of it would close everything."""
    if not isinstance(root, Mapping):
        return
    listeners = root.entries["listeners"][1] if "listeners" in root.entries else root
    if listeners is root or (isinstance(listeners, Mapping) and not listeners.entries):
        report.add(listeners, (None, "listeners"), *NO_LISTENER)


_MAGIC = {"*", "?", "["}


def _files(folder: Path, pattern: str) -> list[Path]:
    """The files that a pattern names, sorted; hidden ones (editors leave some) only by name.

    Raises:
        ValueError: it is no pattern: `a**`, or a directory such as `/` or `.` and nothing in it.
    """
    if pattern.startswith("/"):
        folder, pattern = Path("/"), pattern.lstrip("/")
    if not Path(pattern).parts:
        raise ValueError(pattern)
    hidden = pattern.rpartition("/")[2].startswith(".")
    return sorted(f for f in folder.glob(pattern) if hidden or not f.name.startswith("."))
