"""Words in values: `{host}`, `{header.x-user}`; which words there are, and how they are written.

Rules kept here:
- `{{` writes a brace; a `}` that ends no word is itself. The data plane reads texts in the same
  way (`http/template.rs`); tests/golden/templates.txt is read by tests of both.
- A word that can have no value where it stands is an error, as is one that is not built.
- A text is sent in a field or a record: it has no control characters.

Not known here: what a word stands for; the engine alone knows.
"""

from __future__ import annotations

import re
from typing import Any

from evener.config.model import RejectError, ScalarType
from evener.config.report import nearest

WORDS = (
    "client.ip",
    "client.port",
    "peer.ip",
    "host",
    "path",
    "uri",
    "method",
    "scheme",
    "tls.sni",
    "request.id",
    "server",
    "pool",
    "route",
    "now",
)
TCP_WORDS = ("client.ip", "client.port", "peer.ip")
"""Words that a TCP session has."""
FAMILIES = ("query", "header", "cookie")
PLANNED = ("tls.client_cn",)
_WORD = re.compile(r"\{\{|\{([^{}]*)(\}?)")
#: Known once a server was picked.
OF_SERVERS = ("server", "pool")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_BRACE = "write `{{` for a brace"
_FIELD = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


class Template(ScalarType):
    """A text with words in braces."""

    expected = "a text, with words in braces where wanted"

    def __init__(
        self, example: str = "", *, allows_empty: bool = False, unknown: tuple[str, ...] = ()
    ) -> None:
        """`unknown`: words that have no value where this text is used."""
        self.example = example
        self._unknown = unknown
        self.allows_empty = allows_empty  # type: ignore[misc]  # a class default, set per type

    def parse(self, text: str) -> str:
        for match in _WORD.finditer(text):
            if match.group() != "{{":
                self._judge(match.group(1), closed=bool(match.group(2)))
        if _CONTROL.search(text):
            raise RejectError(expected="a text without line ends and other control characters")
        return text

    def write(self, value: Any) -> str:
        return str(value)

    def _judge(self, word: str, *, closed: bool) -> None:
        if not closed:
            raise RejectError(_BRACE, "a `}` after each word in braces")
        if word in self._unknown:
            raise RejectError(f"`{{{word}}}` is not known here: no server has been picked")
        if word in WORDS:
            return
        if word in PLANNED:
            raise RejectError(f"`{{{word}}}` is planned but not built yet")
        family, _, name = word.partition(".")
        if family in FAMILIES and _FIELD.fullmatch(name):
            return
        known = [*WORDS, *(f"{family}.NAME" for family in FAMILIES)]
        expected = "one of the words " + ", ".join(known)
        raise RejectError(nearest(word, known) or _BRACE, expected)


LOCATION = Template(example="https://{host}{uri}", unknown=OF_SERVERS)
"""Where a redirect leads."""


class KeyWords(Template):
    """What a hash is of: a word without braces, or a text with words in braces, held as the latter.

    The server is not among the words: it is what is to be found.
    """

    expected = "a word such as header.x-user or client.ip, or a text with words in braces"
    example = "header.x-user"

    def parse(self, text: str) -> str:
        template = self._word(text) if "{" not in text else super().parse(text)
        if "server" in self.words_of(template):
            raise RejectError("the server is what the key decides on")
        if not self.words_of(template):
            raise RejectError("a key that is always the same has always the same server")
        return template

    def write(self, value: Any) -> str:
        match = _WORD.fullmatch(str(value))
        return match.group(1) if match and match.group(1) else str(value)

    def _word(self, word: str) -> str:
        try:
            return super().parse(f"{{{word}}}")
        except RejectError as error:
            if error.hint != _BRACE:
                raise
            hint = f"the value of a header is `header.{word}`" if _FIELD.fullmatch(word) else ""
            raise RejectError(hint, error.expected) from None

    @staticmethod
    def words_of(template: str) -> tuple[str, ...]:
        """The words in a text."""
        return tuple(match.group(1) for match in _WORD.finditer(template) if match.group(1))
