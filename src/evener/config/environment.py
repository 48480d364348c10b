"""`${NAME}` in scalars: words from the environment.

`${NAME}` must be set, `${NAME:-default}` takes the default when it is unset or empty, `$${` writes
`${`. A `$` without a brace is itself; a brace that opens no well-formed reference is an error, so
that a typing mistake does not become a value.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_REFERENCE = re.compile(r"\$\$\{|\$\{(?:([A-Za-z_][A-Za-z0-9_]*)(?::-([^{}]*))?\})?")


class UnknownVariableError(Exception):
    """A reference that cannot be replaced; `expected` and `hint` as in a problem."""

    def __init__(self, expected: str, hint: str) -> None:
        super().__init__(expected)
        self.expected = expected
        self.hint = hint


def expand(text: str, env: Mapping[str, str]) -> str:
    """The text with its references replaced.

    Raises:
        UnknownVariableError: a variable is not set and has no default, or `${` begins no reference.
    """

    def word(match: re.Match[str]) -> str:
        name, default = match.group(1), match.group(2)
        if match.group() == "$${":
            return "${"
        if name is None:
            raise UnknownVariableError(
                "`${NAME}` or `${NAME:-default}`", "write `$${` for the text `${`"
            )
        found = env.get(name)
        if found and not _is_text(found):
            raise UnknownVariableError(f"the environment variable {name} to be UTF-8 text", "")
        if found or (found is not None and default is None):
            return found
        if default is not None:
            return default
        raise UnknownVariableError(
            f"the environment variable {name} to be set",
            f"set it, or give a default: `${{{name}:-value}}`",
        )

    return _REFERENCE.sub(word, text)


def _is_text(value: str) -> bool:
    """Whether a variable was UTF-8: Python holds other bytes as surrogates (PEP 383)."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def escape(text: str) -> str:
    """The text written so that `expand` gives it back."""
    return text.replace("${", "$${")
