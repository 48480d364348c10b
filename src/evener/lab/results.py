"""What came of the runs of one scheduler: figures over all seeds.

A figure is the mean over the seeds, with its least and its most; a quantile that so many requests
did not reach (they had no good answer) is None, and so is a mean with one of those.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

QUANTILES = ("p50", "p90", "p99", "p999")


class Span(NamedTuple):
    """A figure over the seeds, in milliseconds."""

    mean: float | None
    least: float | None
    most: float | None


@dataclass(frozen=True)
class Result:
    """The runs of one scheduler, a summary per seed (the form of evener-lab's `Summary`)."""

    scheduler: str
    runs: tuple[dict[str, Any], ...]
    #: What servers should have of it, in proportion; as much each without it.
    weights: tuple[int, ...] = ()

    @property
    def requests(self) -> int:
        """Requests of all runs."""
        return sum(run["whole"]["requests"] for run in self.runs)

    @property
    def good(self) -> float:
        """The part of them that had a good answer, 0 to 1."""
        return _mean([run["whole"]["good"] for run in self.runs])

    @property
    def mean(self) -> float:
        """Mean time of good answers, in milliseconds."""
        return _mean([float(run["whole"]["mean"]) / 1000 for run in self.runs])

    @property
    def retried(self) -> float:
        """The part of the requests that were sent more than once."""
        retried: int = sum(run["retried"] for run in self.runs)
        return retried / max(self.requests, 1)

    def quantile(self, name: str) -> Span:
        """`p50`, `p90`, `p99` or `p999`."""
        figures = [run["whole"][name] for run in self.runs]
        known = [figure / 1000 for figure in figures if figure is not None]
        least = min(known) if known else None
        if len(known) < len(figures):
            return Span(None, least, None)
        return Span(_mean(known), least, max(known))

    @property
    def shares(self) -> dict[str, float]:
        """The part of all tries that each server had."""
        first = self.runs[0]["servers"]
        return {
            server["id"]: _mean([run["servers"][at]["share"] for run in self.runs])
            for at, server in enumerate(first)
        }

    @property
    def evenness(self) -> float:
        """The busiest server's tries, as times its share by weight: 1 is even."""
        shares = list(self.shares.values())
        weights = self.weights if any(self.weights) else (1,) * len(shares)
        pairs = [pair for pair in zip(shares, weights, strict=True) if pair[1]]
        return max(share / weight for share, weight in pairs) * sum(weights)

    def as_json(self) -> dict[str, Any]:
        """The figures, for programs; times in milliseconds."""
        return {
            "scheduler": self.scheduler,
            "requests": self.requests,
            "good": self.good,
            "mean": self.mean,
            **{name: self.quantile(name)._asdict() for name in QUANTILES},
            "retried": self.retried,
            "shares": self.shares,
            "runs": list(self.runs),
        }


def best(results: Sequence[Result]) -> Result:
    """The one with the most good answers, to a thousandth; of equals the least p99, then mean."""

    def rank(result: Result) -> tuple[float, float, float]:
        p99 = result.quantile("p99").mean
        return (-round(result.good, 3), float("inf") if p99 is None else p99, result.mean)

    return min(results, key=rank)


def _mean(figures: Sequence[float]) -> float:
    return sum(figures) / max(len(figures), 1)
