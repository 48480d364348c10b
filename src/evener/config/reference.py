"""The reference page and the JSON Schema, written from the schema.

`python -m evener.config.reference` writes them into docs/reference, `--check` only compares.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from evener.config.explain import Entry, bounds, default, entries, shared
from evener.config.kinds import Section
from evener.config.model import Type
from evener.config.schema import ROOT

COMMAND = "python -m evener.config.reference"
_FOLDER = Path("docs") / "reference"


def page() -> str:
    """The reference of all keys as Markdown."""
    lines = [
        "# Configuration reference",
        "",
        f"<!-- Written by `{COMMAND}` from src/evener/config/schema; change it there. -->",
        "",
        "Every key, its default and the reason for it. `NAME` stands for any name, `[]` for an",
        "item of a list. One thing alone is a list of it. `evener explain KEY` shows one of them.",
        "",
    ]
    for title, group in _groups():
        lines += [f"## {title}", "", *_table(group), ""]
    return "\n".join(lines).rstrip() + "\n"


def json_schema() -> dict[str, Any]:
    """The language as JSON Schema (2020-12), short forms included."""
    sections = {section.cls.__name__: section for section in _sections(ROOT, {})}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$comment": f"Written by `{COMMAND}`.",
        **ROOT.json_schema(),
        "$defs": {name: _definition(section) for name, section in sections.items()},
    }


def write(root: Path, *, check: bool) -> list[str]:
    """Writes the files below `root`, or with `check` names those that are not up to date."""
    texts = {
        root / _FOLDER / "configuration.md": page(),
        root / _FOLDER / "configuration.schema.json": json.dumps(json_schema(), indent=1) + "\n",
    }
    stale = [path for path, text in texts.items() if not path.exists() or path.read_text() != text]
    for path in [] if check else stale:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(texts[path])
    return [str(path) for path in stale]


def _groups() -> list[tuple[str, list[Entry]]]:
    """Entries by the section they stand in."""
    groups: dict[str, list[Entry]] = {}
    for entry in entries():
        above = entry.path.rpartition(".")[0] or "The file"
        groups.setdefault(above, []).append(entry)
    return list(groups.items())


def _table(group: Iterable[Entry]) -> list[str]:
    lines = ["| key | holds | default | meaning |", "|---|---|---|---|"]
    for entry in group:
        key = entry.key
        reason = f" ({key.reason})" if key.reason else ""
        limits = f" ({bounds(key.type)})" if bounds(key.type) else ""
        restart = "" if key.live else " A change needs `evener upgrade`."
        cells = (
            f"`{key.name}`",
            key.type.expected + limits,
            default(key) + reason,
            key.doc + restart + (f" Example: `{key.example}`" if key.example else ""),
        )
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    first = next(iter(group)).path
    if shared(first):
        lines += ["", f"For all of its kind: `{shared(first).rpartition('.')[0]}`."]
    return lines


def _sections(type: Type, seen: dict[type, Section]) -> Iterable[Section]:
    if isinstance(type, Section):
        if type.cls in seen:
            return
        seen[type.cls] = type
        yield type
    for inner in (*type.inner(), *_partial(type)):
        yield from _sections(inner, seen)


def _partial(type: Type) -> Iterable[Type]:
    return [section] if isinstance(section := getattr(type, "section", None), Section) else []


def _definition(section: Section) -> dict[str, Any]:
    properties = {name: key.type.json_schema() for name, key in section.keys.items()}
    for name, key in section.keys.items():
        properties[name] = {"title": key.doc, **properties[name]}
    inline = section.keys.get(section.form.inline)
    if inline is not None and isinstance(inline.type, Section):
        properties |= {name: key.type.json_schema() for name, key in inline.type.keys.items()}
    mapping = {
        "type": "object",
        "description": (section.cls.__doc__ or "").strip(),
        "properties": properties,
        "additionalProperties": False,
    }
    main = section.keys.get(section.form.main)
    kinds = [{"enum": list(section.form.kinds)}] if section.form.kinds else []
    short = [main.type.json_schema()] if main is not None else kinds
    return {"anyOf": [mapping, *short]} if short else mapping


def main() -> int:
    """The command: 0 when all is written, or with `--check` when nothing would change."""
    check = sys.argv[1:] == ["--check"]
    stale = write(Path(__file__).parents[3], check=check)
    for path in stale:
        print(f"{path}: not up to date, run `{COMMAND}`" if check else f"{path}: written")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
