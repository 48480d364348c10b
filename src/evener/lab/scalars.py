"""Texts that only scenarios have: spans in microseconds, rates, factors."""

from __future__ import annotations

import re
from typing import Any, ClassVar

from evener.config.model import RejectError, ScalarType
from evener.config.scalars import Quantity

MS = 1_000
SECOND = 1_000_000


class Span(Quantity):
    """A span of simulated time, held in microseconds."""

    units: ClassVar[dict[str, int]] = {
        "us": 1,
        "ms": MS,
        "s": SECOND,
        "m": 60 * SECOND,
        "h": 3_600 * SECOND,
    }
    noun = "a time span"
    sample = "20ms"
    bare = "ms"

    def __init__(self, least: int = 1, most: int = 24 * 3_600 * SECOND) -> None:
        super().__init__(least, most)


class Rate(ScalarType):
    """Requests a second."""

    expected = "a rate such as 1000/s"
    example = "1000/s"

    def parse(self, text: str) -> float:
        match = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,6})?) ?/s", text)
        if match is None:
            hint = f"write the unit: `{text}/s`" if text.replace(".", "", 1).isdigit() else ""
            raise RejectError(hint)
        if float(match[1]) <= 0:
            raise RejectError(expected="a rate above 0/s")
        return float(match[1])

    def write(self, value: Any) -> str:
        return f"{repr(float(value)).removesuffix('.0')}/s"


class Factor(ScalarType):
    """A number above 0."""

    def __init__(self, expected: str, *, zero: bool = False) -> None:
        self.expected = expected
        self._zero = zero

    def parse(self, text: str) -> float:
        if not re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,6})?", text):
            raise RejectError
        if float(text) == 0 and not self._zero:
            raise RejectError(expected=f"{self.expected}, above 0")
        return float(text)

    def write(self, value: Any) -> str:
        return repr(float(value)).removesuffix(".0")
