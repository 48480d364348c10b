"""Types written as one text: switches, numbers, times, sizes, rates, shares, words, names.

Rules kept here:
- A unit stands in the value; a bare number where a unit belongs is an error that says so.
- `write` gives a text that `parse` reads back to the same value.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, ClassVar

from evener.config.model import RejectError, ScalarType
from evener.config.report import nearest

_ON = ("on", "true", "yes")
_OFF = ("off", "false", "no")
_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([A-Za-z]*)(/s)?")
_TIMES = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_SIZES = {
    "B": 1,
    "KB": 1000,
    "MB": 1000**2,
    "GB": 1000**3,
    "TB": 1000**4,
    "KiB": 1 << 10,
    "MiB": 1 << 20,
    "GiB": 1 << 30,
    "TiB": 1 << 40,
}
_YEAR = 365 * 86_400_000
_LONGEST = 40
"""Characters of a number, more than any bound has; Python refuses to read thousands of digits."""


class Text(ScalarType):
    """Any text; `allows_empty` takes one that is empty in quotes."""

    def __init__(self, expected: str = "a text", *, allows_empty: bool = False) -> None:
        self.expected = expected
        self.allows_empty = allows_empty  # type: ignore[misc]  # a class default, set per type

    def parse(self, text: str) -> str:
        return text


class Pattern(ScalarType):
    """A text of a fixed form, given as a regular expression."""

    def __init__(self, expected: str, form: str, hint: str = "") -> None:
        self.expected = expected
        self._form = re.compile(form, re.ASCII)
        self._hint = hint

    def parse(self, text: str) -> str:
        if not self._form.fullmatch(text):
            raise RejectError(self._hint)
        return text

    def json_schema(self) -> dict[str, Any]:
        schema = super().json_schema()
        return {**schema, "pattern": f"^(?:{self._form.pattern})$"}


class Nothing(ScalarType):
    """The value of a key that only chooses a kind: `{tcp, every: 5s}`."""

    expected = "nothing after it"

    def read(self, node: Any, path: Any, report: Any) -> Any:
        empty = getattr(node, "text", None) in ("", "null") or getattr(node, "entries", None) == {}
        return True if empty else self.refuse(node, path, report)

    def write(self, value: Any) -> str:
        return ""

    def json_schema(self) -> dict[str, Any]:
        return {"enum": [None, "", {}]}


class Switch(ScalarType):
    """on or off."""

    expected = "on or off"

    def parse(self, text: str) -> bool:
        word = text.lower()
        if word in _ON:
            return True
        if word in _OFF:
            return False
        raise RejectError

    def write(self, value: Any) -> str:
        return "on" if value else "off"

    def json_schema(self) -> dict[str, Any]:
        return {"enum": [True, False, *_ON, *_OFF]}


class Choice(ScalarType):
    """One word of several; those planned but not built yet are answered as such."""

    def __init__(self, *words: str, planned: str = "") -> None:
        self.words = words
        self._planned = tuple(planned.split())
        listed = " or ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]
        self.expected = listed

    def parse(self, text: str) -> str:
        if text in self.words:
            return text
        if "off" in self.words and text.lower() in _OFF:
            return "off"
        if text in self._planned:
            raise RejectError(f"`{text}` is planned but not built yet")
        raise RejectError(nearest(text, self.words))

    def json_schema(self) -> dict[str, Any]:
        numbers = [
            float(word) if "." in word else int(word) for word in self.words if word[0].isdigit()
        ]
        off = [False, *_OFF] if "off" in self.words else []
        return {"enum": [*dict.fromkeys([*self.words, *numbers, *off])]}


class Integer(ScalarType):
    """A whole number within bounds."""

    def __init__(self, least: int, most: int) -> None:
        self.least = least
        self.most = most
        self.expected = f"a whole number from {least} to {most}"

    def parse(self, text: str) -> int:
        if text.isascii() and text.isdigit() and len(text) <= 20:
            number = int(text)
            if self.least <= number <= self.most:
                return number
        raise RejectError

    def json_schema(self) -> dict[str, Any]:
        bounds = {"minimum": self.least, "maximum": self.most}
        return {"anyOf": [{"type": "integer", **bounds}, {"type": "string", "pattern": "^\\d+$"}]}


class Quantity(ScalarType):
    """A number with a unit, held as a whole number of the smallest unit."""

    units: ClassVar[dict[str, int]]
    suffix: ClassVar[str] = ""
    noun: ClassVar[str]
    sample: ClassVar[str]
    bare: ClassVar[str]

    def __init__(self, least: int, most: int) -> None:
        self.least = least
        self.most = most
        self.expected = f"{self.noun} such as {self.sample}"
        self.example = self.sample

    @property
    def bounds(self) -> str:
        """The least and the most."""
        return f"from {self.write(self.least)} to {self.write(self.most)}"

    def parse(self, text: str) -> int:
        match = _QUANTITY.fullmatch(text)
        if match is None:
            raise RejectError(self._units_hint())
        number, unit, suffix = match.group(1), match.group(2), match.group(3) or ""
        if not unit:
            raise RejectError(f"write the unit: `{number}{self.bare}`")
        scale = self.units.get(unit)
        if scale is None or suffix != self.suffix:
            raise RejectError(self._units_hint())
        return self._bounded(number, scale)

    def write(self, value: Any) -> str:
        unit = "".join(next(iter(self.units)))
        for name, scale in sorted(self.units.items(), key=lambda item: item[1]):
            if value and value % scale == 0 and (scale == 1 or self._preferred(name)):
                unit = name
        return f"{value // self.units[unit]}{unit}{self.suffix}"

    def json_schema(self) -> dict[str, Any]:
        units = "|".join(self.units)
        return {
            "type": "string",
            "description": self.expected,
            "pattern": f"^[0-9]+(\\.[0-9]+)? ?({units}){self.suffix}$",
        }

    def _preferred(self, unit: str) -> bool:
        return True

    def _bounded(self, number: str, scale: int) -> int:
        if len(number) > _LONGEST:
            raise RejectError(expected=f"{self.noun} {self.bounds}")
        whole, _, part = number.partition(".")
        value, rest = divmod(int(whole + part) * scale, 10 ** len(part))
        if rest:
            smallest = next(iter(self.units)) + self.suffix
            raise RejectError(expected=f"{self.noun} of whole {smallest}")
        if not self.least <= value <= self.most:
            raise RejectError(expected=f"{self.noun} {self.bounds}")
        return int(value)

    def _units_hint(self) -> str:
        return "units are " + ", ".join(f"{unit}{self.suffix}" for unit in self.units)


class Duration(Quantity):
    """A span of time, held in milliseconds."""

    units = _TIMES
    noun = "a time span"
    sample = "5s"
    bare = "s"

    def __init__(self, least: int = 1, most: int = _YEAR) -> None:
        super().__init__(least, most)


class Size(Quantity):
    """A number of bytes."""

    units = _SIZES
    noun = "a size"
    sample = "64KiB"
    bare = "B"

    def __init__(self, least: int = 1, most: int = 1 << 50) -> None:
        super().__init__(least, most)

    def _preferred(self, unit: str) -> bool:
        return unit.endswith("iB")


class ByteRate(Size):
    """Bytes a second."""

    suffix = "/s"
    noun = "a rate"
    sample = "500B/s"
    bare = "B/s"


@dataclass(frozen=True)
class Rate:
    """So many in a time."""

    count: int
    #: Milliseconds.
    per: int


class RateOf(ScalarType):
    """So many a second, minute or hour."""

    expected = "a rate such as 100/s, 30/m or 5/h"
    example = "100/s"
    _form = re.compile(r"([0-9]{1,7})/([smh])")

    def parse(self, text: str) -> Rate:
        match = self._form.fullmatch(text)
        if match is None:
            bare = text.isascii() and text.isdigit()
            raise RejectError(f"write the unit: `{text}/s`" if bare else "")
        count = int(match.group(1))
        if not 1 <= count <= 1_000_000:
            raise RejectError(expected="a rate from 1/h to 1000000/s")
        return Rate(count, _TIMES[match.group(2)])

    def write(self, value: Any) -> str:
        unit = next(name for name in "smh" if _TIMES[name] == value.per)
        return f"{value.count}/{unit}"

    def json_schema(self) -> dict[str, Any]:
        schema = super().json_schema()
        return {**schema, "pattern": f"^(?:{self._form.pattern})$"}


class Percent(ScalarType):
    """A share, held as a number from 0 to 100."""

    expected = "a share from 0% to 100%"
    example = "10%"

    def parse(self, text: str) -> float:
        number = text.removesuffix("%").rstrip()
        if not re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,4})?", number) or float(number) > 100:
            raise RejectError
        if not text.endswith("%"):
            raise RejectError(f"write the unit: {self._meant(number)}")
        return float(number)

    @staticmethod
    def _meant(number: str) -> str:
        """A part of one is what others write for a share: it is worth saying both."""
        part = "." in number and float(number) <= 1
        return f"`{float(number) * 100:g}%`, or `{number}%`" if part else f"`{number}%`"

    def write(self, value: Any) -> str:
        return f"{repr(float(value)).removesuffix('.0')}%"


class Share(ScalarType):
    """A share in whole percent within bounds, which may be above the whole."""

    def __init__(self, least: int, most: int) -> None:
        self.least = least
        self.most = most
        self.expected = f"a share from {least}% to {most}%"

    def parse(self, text: str) -> int:
        number = text.removesuffix("%").rstrip()
        if not re.fullmatch(r"[0-9]{1,6}", number):
            raise RejectError
        if not self.least <= int(number) <= self.most:
            raise RejectError
        if not text.endswith("%"):
            raise RejectError(f"write the unit: `{text}%`")
        return int(number)

    def write(self, value: Any) -> str:
        return f"{value}%"


class StatusRange(ScalarType):
    """A status code or an inclusive range of them, held as (first, last)."""

    expected = "a status code or a range such as 200-399"
    example = "200-399"

    def parse(self, text: str) -> tuple[int, int]:
        match = re.fullmatch(r"([1-5][0-9]{2})(?:-([1-5][0-9]{2}))?", text)
        if match is None:
            raise RejectError
        first = int(match.group(1))
        last = int(match.group(2) or first)
        if last < first:
            raise RejectError(f"write `{last}-{first}`")
        return first, last

    def write(self, value: Any) -> str:
        first, last = value
        return str(first) if first == last else f"{first}-{last}"


class FilePath(ScalarType):
    """The path of a file or directory."""

    def __init__(self, expected: str = "a path", *, absolute: bool = False) -> None:
        self.expected = expected
        self._absolute = absolute
        self.example = "/etc/evener/site.pem"

    def parse(self, text: str) -> str:
        if "\0" in text:
            raise RejectError
        if self._absolute and not text.startswith("/"):
            raise RejectError("begin it with `/`", "an absolute path")
        return text


NAME = Pattern(
    "a name of a-z, 0-9, `_`, `-` and `.`",
    r"[a-z0-9][a-z0-9_.-]{0,62}",
    "names begin with a letter or digit, are in lower case and have at most 63 characters",
)
