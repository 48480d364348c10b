"""Read the table of HTTP/1's rules: each with its cases, bytes unescaped.

Rules kept here: a key that is not known is an error, as in the codec's own reader of the table
(crates/evener-proto/tests/rules.rs). Pure but for reading the file.
Not known here: how a case is carried out; that is the codec's test, or a runner over sockets.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FILE = Path(__file__).parent / "rules.toml"

_ESCAPE = re.compile(rb"\\(x[0-9a-fA-F]{2}|.)", re.DOTALL)
_PLAIN = {b"r": b"\r", b"n": b"\n", b"t": b"\t", b"0": b"\0", b"\\": b"\\"}
_BYTES = {"ask", "forward", "body", "behind", "path"}


@dataclass(frozen=True)
class Case:
    """Bytes and what becomes of them; the head of rules.toml says what each key means."""

    send: tuple[bytes, ...]
    policy: Mapping[str, Any] = field(default_factory=dict)
    ask: bytes = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
    eof: bool = False
    status: int | None = None
    cause: str | None = None
    cut: str | None = None
    answer: int | None = None
    interim: tuple[bytes, ...] = ()
    forward: bytes | None = None
    body: bytes = b""
    path: bytes | None = None
    then: str = "kept"
    behind: bytes = b""

    @property
    def refusal(self) -> str | None:
        """Status and cause, where it is one."""
        return f"{self.status} `{self.cause}`" if self.status else None


@dataclass(frozen=True)
class Rule:
    """One row.

    Attributes:
        id: Its name, which edits and runners use.
        part: The heading it stands under.
        side: request, answer, or engine for what no codec can show.
        what: The bytes or the situation.
        rfc: Number and section.
        does: What we do, where the refusals of the cases do not say it.
        deviation: Where we differ from the RFC and why, or nothing.
        test: The rule's own test, or nothing yet.
        case: What is run.
    """

    id: str
    part: str
    side: str
    what: str
    rfc: str
    does: str = ""
    deviation: str = ""
    test: str = ""
    case: tuple[Case, ...] = ()

    @property
    def answer(self) -> str:
        """What we do, in words."""
        refusals = dict.fromkeys(case.refusal for case in self.case if case.refusal)
        return self.does or ", ".join(refusals)


def rules(text: str | None = None) -> list[Rule]:
    """All rules in the table's order.

    Raises:
        TypeError: A key is unknown, or one is missing.
    """
    table = tomllib.loads(text if text is not None else FILE.read_text())
    return [
        Rule(**{**row, "case": tuple(_case(case) for case in row.get("case", ()))})
        for row in table["rule"]
    ]


def unescaped(text: str) -> bytes:
    """The bytes of a string of the table.

    Raises:
        KeyError: It has an escape that the table does not know.
    """
    return _ESCAPE.sub(lambda match: _byte(match[1]), text.encode())


def _byte(escape: bytes) -> bytes:
    return bytes.fromhex(escape[1:].decode()) if escape[:1] == b"x" else _PLAIN[escape]


def _case(row: dict[str, Any]) -> Case:
    send = row["send"] if isinstance(row["send"], list) else [row["send"]]
    plain = {key: unescaped(text) for key, text in row.items() if key in _BYTES}
    interim = tuple(unescaped(head) for head in row.get("interim", ()))
    return Case(**{**row, **plain, "send": tuple(map(unescaped, send)), "interim": interim})
