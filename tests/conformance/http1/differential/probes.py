"""Gather what is sent: our own classes of attack, the table's bytes, llhttp's samples.

Pure but for reading the files. Not known here: who is asked, and what they make of it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.conformance.http1.table import Case, rules, unescaped

CLASSES = Path(__file__).parent / "probes.toml"
SAMPLES = Path(__file__).parents[2] / "llhttp" / "samples.toml"
PLAIN = Case((b"",)).ask


@dataclass(frozen=True)
class Probe:
    """One thing to send.

    Attributes:
        family: What it belongs to: a class of ours, a rule of the table, `llhttp`.
        what: The family in words.
        send: The bytes: a client's, or a server's where there is an `ask`.
        ask: The request that a server's bytes answer.
        eof: Whether the server closes behind them.
    """

    family: str
    what: str
    send: bytes
    ask: bytes | None = None
    eof: bool = False


def probes() -> list[Probe]:
    """All of them, each once."""
    found: dict[tuple[bytes, bytes | None], Probe] = {}
    for probe in (*_own(), *_table(), *_llhttp()):
        found.setdefault((probe.send, probe.ask), probe)
    return list(found.values())


def _own() -> Iterator[Probe]:
    for family in tomllib.loads(CLASSES.read_text())["class"]:
        for text in family["send"]:
            yield Probe(family["id"], family["what"], unescaped(text))


def _table() -> Iterator[Probe]:
    """The rows that need no policy: the others have none."""
    for rule in rules():
        for case in rule.case:
            if case.policy:
                continue
            for send in case.send:
                ask = case.ask if rule.side == "answer" else None
                yield Probe(f"rule {rule.id}", rule.what, send + case.behind, ask, case.eof)


def _llhttp() -> Iterator[Probe]:
    """Requests get a Host where they lack one: a proxy's first question is not llhttp's."""
    for sample in tomllib.loads(SAMPLES.read_text())["sample"]:
        send = unescaped(sample["bytes"])
        if sample["name"].startswith("response/"):
            yield Probe("llhttp answers", "llhttp's samples of answers", send, PLAIN, True)
        else:
            yield Probe("llhttp requests", "llhttp's samples of requests", _with_host(send))


def _with_host(send: bytes) -> bytes:
    head, mark, body = send.partition(b"\r\n\r\n")
    if not mark or b"\nhost:" in head.lower() or b"HTTP/1." not in head:
        return send
    line, _, fields = head.partition(b"\r\n")
    return b"\r\n".join([line, b"Host: h", *([fields] if fields else [])]) + mark + body
