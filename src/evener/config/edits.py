"""Edits of fields, `{set, add, remove}`: which names may be edited, and what stands over what.

Rules kept here:
- A field that frames, routes or belongs to the connection is not edited: the error says why, and
  what to write instead. The data plane refuses the same names (`check_name` in evener-proto);
  tests/golden/fixed_fields.txt is read by tests of both.
- What a route says of a name stands over all that `defaults.route` says of it.

Not known here: words in values (`templates`), and how edits are carried out.
"""

from __future__ import annotations

import re

from evener.config.kinds import Section
from evener.config.model import RejectError, ScalarType
from evener.config.node import Mapping, Node, Scalar, Sequence

# RFC 9110 section 5.6.2: the characters of a token.
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_MARK = re.compile(r"[^a-z0-9]")

_FRAMES = "it says where a body ends: Evener writes it as the body goes"
_HOP = "it belongs to one connection: Evener speaks for itself on each side"
FIXED = {
    "content-length": _FRAMES,
    "transfer-encoding": _FRAMES,
    "connection": _HOP,
    "keep-alive": _HOP,
    "proxy-connection": _HOP,
    "te": _HOP,
    "trailer": _HOP,
    "upgrade": _HOP,
    "http2-settings": _HOP,
    "host": "routes and servers must read one host; put it into another field, "
    "such as `X-Forwarded-Host: {host}`",
    "expect": "whether a 100 is awaited is settled with the client",
    "max-forwards": "it is counted down on the way",
    "proxy": "programs take it for the setting HTTP_PROXY, so it is never sent",
}
"""Names that are not edited, in lower case, each with its reason."""

_IDENTITY = ("forwarded", "x-real-ip")


class EditedName(ScalarType):
    """The name of a field that a route edits, as it is to be written."""

    expected = "the name of a field that routes may edit"
    example = "X-Request-ID"

    def parse(self, text: str) -> str:
        if not _TOKEN.fullmatch(text):
            raise RejectError("a name has letters, digits and hyphens", "the name of a field")
        lower = text.lower()
        folded = _MARK.sub("-", lower)
        if folded in FIXED:
            raise RejectError(f"`{text}` is not edited: {FIXED[folded]}")
        if folded != lower and (folded in _IDENTITY or folded.startswith("x-forwarded-")):
            raise RejectError(
                f"another spelling of `{folded}`, which would be cut again: write `{folded}`"
            )
        return text


class EditsSection(Section):
    """`{set, add, remove}`, merged name by name."""

    def merge(self, base: Node, over: Node) -> Node:
        base, over = self.expand(base), self.expand(over)
        if isinstance(base, Mapping) and isinstance(over, Mapping):
            base = _without(base, {name.lower() for name in _names(over)})
        return super().merge(base, over)


def _names(edits: Mapping) -> list[str]:
    """All names that edits speak of."""
    found: list[str] = []
    for _, node in edits.entries.values():
        if isinstance(node, Mapping):
            found += node.entries
        else:
            items = node.items if isinstance(node, Sequence) else [node]
            found += [item.text for item in items if isinstance(item, Scalar)]
    return found


def _without(edits: Mapping, names: set[str]) -> Mapping:
    """What edits set and add to other fields than these. A list of removed names is replaced by
    another list, as all lists are; where there is no other, it loses these."""
    entries = {}
    for key, (place, node) in edits.entries.items():
        if isinstance(node, Mapping):
            left = {
                name: entry for name, entry in node.entries.items() if name.lower() not in names
            }
            entries[key] = (place, Mapping(left, node.file, node.line, node.column))
        else:
            items = node.items if isinstance(node, Sequence) else [node]
            rest = [
                item
                for item in items
                if not (isinstance(item, Scalar) and item.text.lower() in names)
            ]
            if rest:
                entries[key] = (place, Sequence(rest, node.file, node.line, node.column))
    return Mapping(entries, edits.file, edits.line, edits.column)
