"""Totals as the extension gives them: entries of a kind, by their names.

The text is JSON: `{KIND: [{names, values, histograms}, …]}`. `values` has counters and gauges
under the metric's name with its labels as Prometheus writes them; what is zero may be missing.
`histograms` has `{count, sum, buckets: [[lower, upper, count], …]}` in microseconds, empty buckets
left out, the last bucket's upper bound null.
"""

import json
from dataclasses import dataclass, field
from typing import Any

Names = tuple[str, ...]


#: Lower and upper bound of a bucket in microseconds.
Bounds = tuple[float, float]


@dataclass(frozen=True)
class Histogram:
    """Recorded times: how many in each bucket."""

    buckets: dict[Bounds, int] = field(default_factory=dict)

    def since(self, before: "Histogram") -> "Histogram":
        """What was recorded after `before` was read."""
        return Histogram(
            {
                bounds: count - before.buckets.get(bounds, 0)
                for bounds, count in self.buckets.items()
            }
        )

    def quantile(self, q: float) -> float | None:
        """The time in microseconds that a share `q` of the records does not pass.

        Interpolated within its bucket; the last bound where the time lies beyond all bounds;
        None without records.
        """
        filled = sorted((bounds, count) for bounds, count in self.buckets.items() if count > 0)
        rank, below = q * sum(count for _, count in filled), 0
        for (lower, upper), count in filled:
            if below + count >= rank:
                if upper == float("inf"):
                    return lower
                return lower + (upper - lower) * max(0.0, (rank - below) / count)
            below += count
        return None


@dataclass(frozen=True)
class Entry:
    """The sums of one thing."""

    values: dict[str, float]
    histograms: dict[str, Histogram]

    def value(self, metric: str, label: str = "") -> float:
        """The sum over a metric's series, or over those whose labels contain `label`."""
        return sum(
            value
            for name, value in self.values.items()
            if name.partition("{")[0] == metric and label in name
        )


EMPTY = Entry({}, {})


class Totals:
    """All entries of one reading."""

    def __init__(self, entries: dict[tuple[str, Names], Entry]) -> None:
        self._entries = entries

    @classmethod
    def parse(cls, text: str) -> "Totals":
        """From the extension's text."""
        return cls(
            {
                (kind, tuple(each["names"])): Entry(
                    each["values"],
                    {name: _histogram(one) for name, one in each["histograms"].items()},
                )
                for kind, entries in json.loads(text).items()
                for each in entries
            }
        )

    def entry(self, kind: str, names: Names = ()) -> Entry:
        """The sums of one thing; all zero if it has none."""
        return self._entries.get((kind, names), EMPTY)

    def starting_with(self, kind: str, names: Names) -> list[Names]:
        """Full names of entries whose names start so (a server's address may have changed)."""
        return [
            full for each, full in self._entries if each == kind and full[: len(names)] == names
        ]


def _histogram(form: dict[str, Any]) -> Histogram:
    return Histogram(
        {
            (float(lower), float("inf") if upper is None else float(upper)): int(count)
            for lower, upper, count in form["buckets"]
        }
    )
