"""What a person can ask of the schema: every key by its path, and one key in words.

A path names the key: `pools.NAME.check[].every`; NAME stands for any name, `[]` for any item.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from evener.config.kinds import ListOf, MapOf, Or, Section
from evener.config.model import Key, Type
from evener.config.report import nearest
from evener.config.schema import ROOT
from evener.errors import EvenerError

# Where else a key may stand, by the beginning of its path; the first that fits.
_SHARED = (
    ("listeners.NAME.routes[].", "defaults.route."),
    ("listeners.NAME.", "defaults.listener."),
    ("pools.NAME.", "defaults.pool."),
)


class Entry(NamedTuple):
    """A key of the language and where it stands; `section` is what it holds, if keys."""

    path: str
    key: Key
    section: Section | None


class UnknownKeyError(EvenerError):
    """Nothing in the language has this path."""


def entries() -> Iterator[Entry]:
    """All keys, each before the keys within it, in the order of the schema."""
    return _within(ROOT, "", ())


def leaves() -> tuple[str, ...]:
    """The paths of all keys that hold a value and no keys of their own."""
    return tuple(entry.path for entry in entries() if entry.section is None)


def explain(asked: str) -> str:
    """A key in words: meaning, type, bounds, default and reason, example, where it may stand.

    Args:
        asked: its path; names and indices stand for any (`pools.app.servers[1].weight`), and the
            end of a path is enough where only one ends so.

    Raises:
        UnknownKeyError: no key has this path, or several end so; the words name the nearest.
    """
    known = {entry.path: entry for entry in entries()}
    meant = _of_one(asked)
    found = [entry for path, entry in known.items() if _is(path, meant)]
    found = found or [entry for path, entry in known.items() if _ends(path, meant)]
    if len(found) == 1:
        return _words(found[0])
    if found:
        paths = "\n  ".join(entry.path for entry in found)
        raise UnknownKeyError(f"several keys end in `{asked}`:\n  {paths}")
    word = asked.rpartition(".")[2]
    if any(word in section.form.planned for section in _sections()):
        raise UnknownKeyError(f"`{word}` is planned but not built yet")
    names = [path.rpartition(".")[2] for path in known]
    hint = nearest(asked, known) or nearest(word, names) or "`evener explain` alone lists all keys"
    raise UnknownKeyError(f"no key `{asked}`; {hint}")


def bounds(type: Type) -> str:
    """The bounds of what a key holds, or nothing."""
    found = getattr(type, "bounds", "")
    inner = [bounds(each) for each in type.inner() if not isinstance(type, Section)]
    return str(found) or next(filter(None, inner), "")


def default(key: Key) -> str:
    """The default of a key as it is written, or what happens without one."""
    if key.required:
        return "none: it must be written"
    if key.default is None:
        return key.unset
    if key.default == {} and not isinstance(key.type, MapOf):
        return "the defaults of its keys"
    if key.default in ({}, (), []) or key.default == "":
        return "nothing"
    if isinstance(key.default, list):
        return f"[{', '.join(key.default)}]"
    return str(key.default)


def shared(path: str) -> str:
    """Where else the key may stand, to hold for all things of its kind; empty if nowhere."""
    for begin, other in _SHARED:
        rest = path.removeprefix(begin)
        if rest != path:
            # Lists replace: only a check, which may stand alone, merges key by key.
            return "" if "[]" in rest.replace("check[]", "check") else other + rest
    return ""


def _of_one(asked: str) -> str:
    """The path of the one thing that stands for all: `pools.NAME.x` for `defaults.pool.x`; and of a
    thing itself (`pools.app`) that of the map it is in."""
    for begin, other in _SHARED:
        rest = asked.removeprefix(other)
        if rest != asked:
            return begin + rest
    return re.sub(r"^(listeners|pools)\.[^.\[\]]+$", r"\1", asked)


def _sections() -> Iterator[Section]:
    yield ROOT
    yield from (entry.section for entry in entries() if entry.section is not None)


def _within(section: Section, above: str, seen: tuple[type, ...]) -> Iterator[Entry]:
    for name, key in section.keys.items():
        inner, suffix = _section(key.type)
        if inner is not None and inner.cls in (*seen, section.cls):
            # A section in itself (`not`) is told once.
            inner = None
        yield Entry(above + name, key, inner)
        if inner is not None:
            yield from _within(inner, f"{above}{name}{suffix}.", (*seen, section.cls))


def _section(type: Type) -> tuple[Section | None, str]:
    """The section a type leads to, and what stands between: `[]`, `.NAME` or nothing."""
    if isinstance(type, Section):
        return type, ""
    if not isinstance(type, Or | ListOf | MapOf):
        return None, ""
    (inner,) = type.inner()
    found, rest = _section(inner)
    between = {ListOf: "[]", MapOf: ".NAME"}.get(type.__class__, "")
    return found, between + rest


def _is(path: str, asked: str) -> bool:
    pattern = re.escape(path).replace("NAME", r"[^\[\]]+?").replace(r"\[\]", r"(?:\[\d*\])?")
    return re.fullmatch(pattern, asked) is not None


def _ends(path: str, asked: str) -> bool:
    return f".{path}".replace("[]", "").endswith("." + re.sub(r"\[\d*\]", "", asked))


def _words(entry: Entry) -> str:
    key = entry.key
    lines = [entry.path, f"  {key.doc}", f"  holds: {key.type.expected}"]
    if bounds(key.type):
        lines.append(f"  bounds: {bounds(key.type)}")
    reason = f" ({key.reason})" if key.reason else ""
    lines.append(f"  default: {default(key)}{reason}")
    if entry.section is not None:
        lines.append(f"  keys: {', '.join(entry.section.keys)}")
    example = key.example or key.type.example
    if example:
        lines.append(f"  example: {key.name}: {example}")
    if shared(entry.path):
        lines.append(f"  also for all of its kind: {shared(entry.path)}")
    lines.append(f"  a change needs: {'a reload' if key.live else 'a stop and a start'}")
    return "\n".join(lines) + "\n"
