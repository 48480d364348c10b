"""Draw the demo: headings, bars that move on a terminal and stand still elsewhere.

Rules kept here:
- Nothing is wider than 80 columns, and an act fits on 24 lines.
- Not on a terminal: plain lines, each printed once. A state is shape, word and colour together.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass

#: The share that a bar of full length stands for.
FULL = 0.6

_SHAPES = {"up": "●", "ejected": "▲", "down": "✖", "starting": "◔", "": " "}
_COLOURS = {"up": "32", "ejected": "33", "down": "31", "starting": "36", "": "2"}
_PLAIN = str.maketrans("●▲✖◔█·–…", "*!x+#|-.")


@dataclass(frozen=True)
class Bar:
    """A server's part of the requests."""

    name: str
    count: int
    share: float
    state: str


class Stage:
    """The terminal, or what stands in its place."""

    def __init__(self) -> None:
        #: Whether lines can be drawn again.
        self.live = sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self._colour = self.live and not os.environ.get("NO_COLOR")
        self._plain = "utf" not in (sys.stdout.encoding or "").lower()
        self._drawn = 0

    def say(self, text: str = "", style: str = "") -> None:
        """A line; `style` is an SGR number such as 1 for bold."""
        self._drawn = 0
        self._print(self._paint(text, style))

    def act(self, number: int, text: str) -> None:
        """A heading."""
        self.say()
        self.say(f"{number}  {text}", "1")

    def command(self, line: str, words: str) -> None:
        """A command as a person would type it, and what it printed."""
        self.say(f"   $ {line}", "36")
        for each in words.splitlines():
            for part in _wrapped(each, self._columns() - 5):
                self.say(f"     {part}")

    def bars(self, bars: Sequence[Bar]) -> None:
        """The bars, over those drawn last if nothing was said since."""
        if self._drawn:
            sys.stdout.write(f"\x1b[{self._drawn}A")
        for bar in bars:
            self._print(self._bar(bar))
        self._drawn = len(bars)
        sys.stdout.flush()

    def _bar(self, bar: Bar) -> str:
        room = self._columns() - 40
        full = min(room, round(room * bar.share / FULL))
        state = f"{_SHAPES[bar.state]} {bar.state}"
        colour = _COLOURS[bar.state]
        name = f"   {bar.name:<6} "
        numbers = f" {bar.count:>6}  {bar.share:>4.0%}  "
        end = "\x1b[K" if self.live else ""
        filled = self._paint("█" * full, colour) + " " * (room - full)
        return f"{name}{filled}{numbers}{self._paint(state, colour)}{end}"

    def _paint(self, text: str, style: str) -> str:
        return f"\x1b[{style}m{text}\x1b[0m" if style and self._colour else text

    def _print(self, text: str) -> None:
        print(text.translate(_PLAIN) if self._plain else text, flush=not self._drawn)

    def _columns(self) -> int:
        return max(60, min(shutil.get_terminal_size().columns, 80))


def _wrapped(text: str, columns: int) -> list[str]:
    import textwrap

    return textwrap.wrap(text, columns, break_long_words=False, break_on_hyphens=False) or [""]
