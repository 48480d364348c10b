"""Say which addresses a reload opened and closed: the log and the command say it alike.

Not known here: what else a reload changed. Imports stay light: a command says it, too.
"""

from collections.abc import Mapping
from typing import Any


def doors(answer: Mapping[str, Any]) -> str:
    """What a reload's answer says of addresses, for the end of a line; empty when all stay."""
    parts = (("; listens on", answer.get("opened")), ("; no more on", answer.get("closed")))
    return "".join(f"{words} {', '.join(these)}" for words, these in parts if these)
