"""Readings of the last minute, and what they say together: rates and recent quantiles.

Rules kept here:
- Readings are kept as text: of 10,000 servers a parsed one takes ten times the memory.
- A rate is over the last 5 to 10 seconds, a quantile over the last minute, or over as much as
  has been read; with a single reading there is neither.
Pure: `now` is in seconds of a steady clock.
"""

from collections import deque
from dataclasses import dataclass

from evener.telemetry.totals import Histogram, Names, Totals

#: Seconds between two kept readings, and how far back they reach.
EVERY, REACH = 5.0, 60.0


@dataclass(frozen=True)
class _Reading:
    at: float
    text: str


class Window:
    """The kept readings."""

    def __init__(self) -> None:
        self._kept: deque[_Reading] = deque()

    def take(self, now: float, text: str) -> None:
        """Keeps a reading and lets go of those that are no longer needed."""
        self._kept.append(_Reading(now, text))
        while len(self._kept) > 1 and self._kept[1].at <= now - REACH:
            self._kept.popleft()

    def view(self, now: float, text: str) -> "View":
        """What a fresh reading says beside the kept ones."""
        older = [reading for reading in self._kept if now - reading.at >= EVERY]
        recent = older[-1] if older else next(iter(self._kept), None)
        minute = next(iter(self._kept), None)
        current = Totals.parse(text)
        parsed = {
            reading.at: Totals.parse(reading.text)
            for reading in (recent, minute)
            if reading is not None
        }
        return View(
            current,
            parsed.get(recent.at) if recent else None,
            now - recent.at if recent else 0.0,
            parsed.get(minute.at) if minute else None,
        )


class View:
    """Numbers of one moment."""

    def __init__(
        self, current: Totals, recent: Totals | None, seconds: float, minute: Totals | None
    ) -> None:
        self.current = current
        self._recent = recent
        self._seconds = seconds
        self._minute = minute

    def value(self, kind: str, names: Names, metric: str, label: str = "") -> int:
        """A counter's or a gauge's sum."""
        return int(self.current.entry(kind, names).value(metric, label))

    def rate(self, kind: str, names: Names, metric: str, label: str = "") -> float | None:
        """Growth a second, lately; None while it cannot be known."""
        if self._recent is None or self._seconds <= 0:
            return None
        before = self._recent.entry(kind, names).value(metric, label)
        grown = self.current.entry(kind, names).value(metric, label) - before
        return max(0.0, grown) / self._seconds

    def quantile_ms(self, kind: str, names: Names, metric: str, q: float) -> float | None:
        """A quantile of the last minute in milliseconds; None when nothing was recorded in it."""
        now = self.current.entry(kind, names).histograms.get(metric, Histogram())
        if self._minute is not None:
            before = self._minute.entry(kind, names).histograms.get(metric, Histogram())
            now = now.since(before)
        micros = now.quantile(q)
        return None if micros is None else micros / 1000
