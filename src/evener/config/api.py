"""`Config`: a configuration from a file, a text or a tree built in Python, read and judged.

Rules kept here:
- Nothing is wrong silently: whoever asks for settings of a wrong configuration gets all problems.
- A Config never changes; a reload makes another one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from evener.config import defaults
from evener.config.environment import UnknownVariableError, escape, expand
from evener.config.errors import ConfigError, Place, Problem
from evener.config.node import Mapping as MappingNode
from evener.config.node import Node, Scalar, from_python, plain
from evener.config.node import Sequence as SequenceNode
from evener.config.report import Path, Report
from evener.config.rules import judge
from evener.config.schema import ROOT, Root


class Config:
    """A configuration.

    Example:
        >>> config = Config({"listeners": {"web": {"bind": ":8080", "pool": "app"}},
        ...                  "pools": {"app": ["10.0.0.1:8000"]}})
        >>> config.summary()
        '1 listener, 1 pool, 1 server'
    """

    def __init__(self, tree: Mapping[str, Any], *, env: Mapping[str, str] | None = None) -> None:
        """A configuration from a tree of dicts, lists, texts, numbers and bools.

        Args:
            tree: the same keys and forms as in a file.
            env: what `${NAME}` reads; the process's environment by default.

        Raises:
            TypeError: something in the tree is none of these.
        """
        report = Report()
        node = from_python(tree)
        _expand(node, None, os.environ if env is None else env, report)
        self._set(node, report)

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, env: Mapping[str, str] | None = None) -> Config:
        """A configuration from a file and what it includes.

        Raises:
            ConfigError: a file can't be read, is not YAML or has nothing in it.
        """
        from evener.config.files import load

        report = Report()
        node = load(os.fspath(path), os.environ if env is None else env, report)
        return cls._of(node, report)

    @classmethod
    def parse(
        cls, text: str, *, file: str = "(text)", env: Mapping[str, str] | None = None
    ) -> Config:
        """A configuration from a text; `file` is its name in errors. It includes nothing.

        Raises:
            ConfigError: the text is not YAML, or nothing is written in it.
        """
        from evener.config.text import parse

        report = Report()
        node = parse(text, file, os.environ if env is None else env, report)
        return cls._of(node, report)

    @classmethod
    def quick(cls, bind: str | Sequence[str], servers: str | Sequence[str]) -> Config:
        """One listener in front of one pool: the smallest useful configuration.

        Args:
            bind: where to listen, such as ":8080".
            servers: where to send requests, one or several; ":8000" alone is 127.0.0.1:8000.
        """
        # A text is a sequence of texts, too: of its letters, which nobody means.
        bound = bind if isinstance(bind, str) else list(bind)
        listed = [servers] if isinstance(servers, str) else list(servers)
        listener = {"bind": bound, "pool": "app"}
        return cls({"listeners": {"web": listener}, "pools": {"app": listed}}, env={})

    @property
    def settings(self) -> Root:
        """The typed tree, every key in long form with its default.

        Raises:
            ConfigError: something is wrong; it has all problems.
        """
        root, problems = self._judged
        if problems:
            raise ConfigError(problems)
        return root

    def check(self) -> None:
        """Does nothing when all is right.

        Raises:
            ConfigError: something is wrong; it has all problems.
        """
        _ = self.settings

    def problems(self) -> tuple[Problem, ...]:
        """All that is wrong, in the order of the files."""
        return self._judged[1]

    def warnings(self) -> tuple[str, ...]:
        """What was odd about its files, a line each; `compile` knows more."""
        return tuple(self._report.warnings)

    def summary(self) -> str:
        """What it has, in words: `2 listeners, 3 pools, 7 servers`."""
        root = self.settings
        servers = sum(len(pool.servers) for pool in root.pools.values())
        counts = (("listener", len(root.listeners)), ("pool", len(root.pools)), ("server", servers))
        return ", ".join(f"{count} {noun}{'' if count == 1 else 's'}" for noun, count in counts)

    def resolved(self) -> dict[str, Any]:
        """The long form with every default; read again, it gives the same settings."""
        long = ROOT.write(self.settings)
        del long["defaults"]
        escaped: dict[str, Any] = _map_texts(long, escape)
        return escaped

    def to_yaml(self, *, resolved: bool = False) -> str:
        """The tree as YAML: as it was written, references to the environment included, or the long
        form with every default."""
        from evener.config.yaml import dump

        return dump(self.resolved() if resolved else plain(self._node))

    def place(self, *path: str | int) -> Place:
        """Where a key of the tree is written, or the nearest thing above it that is."""
        node = self._node
        for step in path:
            if isinstance(node, MappingNode) and step in node.entries:
                node = node.entries[str(step)][1]
            elif isinstance(node, SequenceNode) and isinstance(step, int):
                if step >= len(node.items):
                    break
                node = node.items[step]
            elif step not in ("servers", "routes", "certificates") and step != 0:
                break
        return node.place

    @classmethod
    def _of(cls, node: Node, report: Report) -> Config:
        config = cls.__new__(cls)
        config._set(node, report)
        return config

    def _set(self, node: Node, report: Report) -> None:
        self._node = node
        self._report = report

    @cached_property
    def _judged(self) -> tuple[Root, tuple[Problem, ...]]:
        root = ROOT.read(defaults.apply(self._node), None, self._report)
        if isinstance(root, Root):
            judge(root, self._node, self._report)
        return root, self._report.problems()


def _expand(node: Node, path: Path, env: Mapping[str, str], report: Report) -> None:
    if isinstance(node, Scalar) and "${" in node.text:
        try:
            node.text, node.written = expand(node.text, env), node.text
        except UnknownVariableError as error:
            report.spoil(node, path, node.describe(), error.expected, error.hint)
    elif isinstance(node, MappingNode):
        for name, (_, value) in node.entries.items():
            _expand(value, (path, name), env, report)
    elif isinstance(node, SequenceNode):
        for index, item in enumerate(node.items):
            _expand(item, (path, index), env, report)


def _map_texts(value: Any, change: Any) -> Any:
    if isinstance(value, dict):
        return {name: _map_texts(item, change) for name, item in value.items()}
    if isinstance(value, list):
        return [_map_texts(item, change) for item in value]
    return change(value)
