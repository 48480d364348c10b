"""What routes match on: host patterns, path patterns, header forms, methods, targets.

Rules kept here:
- A pattern is brought to the one canonical form that requests are brought to before they are
  compared (CONFIG.md, match key `path`), so that it can match; what never can is an error.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from evener.config.kinds import ListOf
from evener.config.model import BAD, RejectError, ScalarType, Type
from evener.config.node import Mapping, Node
from evener.config.report import Path, Report, nearest
from evener.config.scalars import Pattern, Switch, Text
from evener.config.templates import LOCATION

# RFC 9110 §5.6.2: the characters of a token.
_TOKEN = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"
_UNRESERVED = re.compile(r"[A-Za-z0-9._~-]")
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?"
_HOST = re.compile(rf"(?:\*\.)?{_LABEL}(?:\.{_LABEL})*|\[[0-9a-f:.]+\]")


class HostPattern(ScalarType):
    """`a.example` or `*.a.example`, held in lower case."""

    expected = "a host name such as a.example or *.a.example"
    example = "a.example"

    def parse(self, text: str) -> str:
        if re.search(r"[^:\]]:\d+$|\]:\d+$", text):
            raise RejectError(f"the port is ignored: write `{text.rpartition(':')[0]}`")
        host = text.lower()
        if not _HOST.fullmatch(host) or len(host) > 253:
            raise RejectError
        return f"[{_ipv6(host[1:-1])}]" if host.startswith("[") else host


class HeaderName(Pattern):
    """A field name, held in lower case."""

    def parse(self, text: str) -> str:
        return super().parse(text).lower()


class _Forms(Type):
    """A text, or a mapping with one key that says how it is meant."""

    forms: dict[str, Callable[[Node, Path, Report], Any]]

    def _form(self, node: Mapping, path: Path, report: Report) -> Any:
        if len(node.entries) != 1:
            return self.refuse(node, path, report, f"exactly one of {', '.join(self.forms)}")
        ((name, (key, value)),) = node.entries.items()
        if name not in self.forms:
            expected = "one of " + ", ".join(self.forms)
            hint = nearest(name, self.forms)
            report.add(key, (path, name), f"the key `{name}`", expected, hint)
            return BAD
        read = self.forms[name](value, (path, name), report)
        return BAD if read is BAD else (name, read)


class PathForm(_Forms):
    """A path pattern, held as (kind, text): exact, within, below, regex, glob."""

    expected = "a path such as /x, /x/* or /x/, or {exact: …}, {regex: …}, {glob: …}"
    example = "/api/*"

    def __init__(self) -> None:
        self.forms = {
            "exact": _ExactPath().read,
            "regex": Regex().read,
            "glob": _GlobPath().read,
        }

    def read(self, node: Node, path: Path, report: Report) -> Any:
        if isinstance(node, Mapping):
            return self._form(node, path, report)
        return _PlainPath(self.expected).read(node, path, report)

    def write(self, value: Any) -> Any:
        kind, text = value
        plain = {"within": f"{text}/*", "below": text}
        if kind == "exact" and not text.endswith("/"):
            return text
        return plain.get(kind, {kind: text})

    def json_schema(self) -> dict[str, Any]:
        return _forms_schema(self.forms)


class HeaderForm(_Forms):
    """What a field's value must be, held as (kind, value): any_of, prefix, regex, present."""

    expected = "a value, a list of values, or {prefix: …}, {regex: …}, {present: on}"
    example = "alice"

    def __init__(self) -> None:
        self.forms = {"prefix": Text().read, "regex": Regex().read, "present": Switch().read}
        self._values = ListOf(Text("a value"), "values")

    def read(self, node: Node, path: Path, report: Report) -> Any:
        if isinstance(node, Mapping):
            return self._form(node, path, report)
        values = self._values.read(node, path, report)
        return BAD if values is BAD else ("any_of", values)

    def write(self, value: Any) -> Any:
        kind, held = value
        if kind == "any_of":
            return list(held)
        return {kind: Switch().write(held) if kind == "present" else held}

    def json_schema(self) -> dict[str, Any]:
        schema = _forms_schema(self.forms)
        schema["anyOf"].append({"type": "array", "items": {"type": "string"}, "minItems": 1})
        return schema


class Regex(Text):
    """A regular expression of the engine's kind: linear time, so no look-around, no references."""

    def __init__(self) -> None:
        super().__init__("a regular expression")

    def parse(self, text: str) -> str:
        if re.search(r"(?<!\\)(?:\\\\)*\(\?<?[=!]", text):
            raise RejectError("look-around is left out: a request could make it take long")
        if re.search(r"(?<!\\)(?:\\\\)*\\[1-9]", text):
            raise RejectError("references are left out: a request could make them take long")
        # The extension is loaded only where it is needed: a tree may be built without it.
        from evener.config.text import pattern_refusal

        if refusal := pattern_refusal(text):
            raise RejectError(refusal)
        return text


class _PlainPath(ScalarType):
    """`/x`, `/x/*` or `/x/`."""

    def __init__(self, expected: str) -> None:
        self.expected = expected

    def parse(self, text: str) -> tuple[str, str]:
        if text.startswith(("~", "^")):
            raise RejectError(
                f"a regular expression is written `{{regex: '{text.lstrip('~* ')}'}}`"
            )
        stem = text.removesuffix("*")
        if "*" in stem or (stem != text and not stem.endswith("/")):
            raise RejectError(f"other stars need `{{glob: {text}}}`")
        path = canonical(stem)
        if stem != text:
            return "within", path.removesuffix("/")
        return ("below", path) if path.endswith("/") else ("exact", path)


class _ExactPath(ScalarType):
    expected = "a path that begins with /"

    def parse(self, text: str) -> str:
        return canonical(text)


class _GlobPath(ScalarType):
    expected = "a glob that begins with / or *"

    def parse(self, text: str) -> str:
        if not text.startswith(("/", "*")):
            raise RejectError
        # What no path can be, no glob can match: `?` is any character, a star begins with any.
        canonical("/" + text.removeprefix("/").replace("?", "x"))
        return "?".join(map(_one_form, text.split("?")))


class _HttpsOrTemplate(ScalarType):
    expected = "`https`, or a location such as https://www.example{uri}"
    example = "https"

    def parse(self, text: str) -> str:
        return text if text == "https" else LOCATION.parse(text)

    def write(self, value: Any) -> str:
        return str(value)


def _ipv6(text: str) -> str:
    """The spelling that clients use (RFC 5952): hosts are compared as texts."""
    import ipaddress  # 3 ms of start-up, spent only where IPv6 is written

    try:
        return str(ipaddress.IPv6Address(text))
    except ValueError:
        raise RejectError(expected="an IPv6 address in the brackets") from None


def canonical(path: str) -> str:
    """The one form of a path that patterns and requests are compared in.

    Unreserved characters decoded, other escapes in capitals, repeated slashes as one; characters
    that can't stand in a request target are escaped (RFC 3986 §6.2.2).

    Raises:
        RejectError: no request can have this path.
    """
    if not path.startswith("/"):
        raise RejectError("begin it with `/`")
    if "?" in path or "#" in path:
        raise RejectError("`?` and `#` are no part of a path; matching on `query` is not built yet")
    if "\\" in path or "\0" in path or re.search(r"%(?![0-9A-Fa-f]{2})|%00", path):
        raise RejectError("requests with `\\`, `%00` or broken escapes are answered 400 before")
    plain = _one_form(path)
    segments = re.split(r"/|%2F|%5C", plain)
    if any(re.split(r";|%3B", segment)[0] in (".", "..") for segment in segments):
        raise RejectError("segments `.` and `..` are answered 400 before routes are asked")
    return plain


def _one_form(text: str) -> str:
    escaped = "".join(c if "!" <= c <= "~" else _percent(c) for c in text)
    return re.sub(r"/+", "/", _ESCAPE.sub(_decode, escaped))


def _decode(match: re.Match[str]) -> str:
    character = chr(int(match.group(1), 16))
    return character if _UNRESERVED.fullmatch(character) else match.group().upper()


def _percent(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "surrogatepass"))


def _forms_schema(forms: dict[str, Any]) -> dict[str, Any]:
    properties = {name: {"type": ["string", "boolean"]} for name in forms}
    mapping = {
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        "minProperties": 1,
        "maxProperties": 1,
    }
    return {"anyOf": [{"type": "string"}, mapping]}


HOST_PATTERN = HostPattern()
METHOD = Pattern("a method such as GET", _TOKEN.replace("a-z", ""), "methods are in capitals")
HEADER_NAME = HeaderName("the name of a header field", _TOKEN)
TARGET = Pattern("a target that begins with /", r"/[!-~]*")
HTTPS_OR_TEMPLATE = _HttpsOrTemplate()
