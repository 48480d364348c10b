"""Turn figures into the table: medians, spread, the ratio to the better rival, a verdict.

Rules kept here:
- A ratio is taken round by round (both ran within seconds of each other) and its median is held
  against the bound; the better rival is the one with the lower median.
- Bounds are for rivals as their manuals set them up. What the fastest settings found for them make
  of the ratio stands beside it, so that nobody has to wonder.
- A row that could not be measured without error has failed, whatever its other figures say.
Pure: figures in, text out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from bench.proxies import RIVALS, TUNED
from bench.rounds import Figure, Results

# "At most two rows may miss, by at most 8 %."
MAY_MISS = 2
MISS_BY = 1.08


@dataclass(frozen=True)
class Verdict:
    """How one row ended for Evener.

    Attributes:
        excess: Cost over bound as a factor, the worst of the row's bounds; None if not measured.
        words: The same for people.
    """

    excess: float | None
    words: str

    @property
    def held(self) -> bool:
        """Whether every bound of the row was held."""
        return self.excess is not None and self.excess <= 1.0


def ratio(of: Sequence[Figure], to: Sequence[Figure]) -> float:
    """Median of the costs' ratios, round by round."""
    return median(a.cost / b.cost for a, b in zip(of, to, strict=False))


def better(results: Results, names: Sequence[str] = RIVALS) -> str | None:
    """The one of these with the lower median cost; None when none was measured."""
    medians = {
        name: median(figure.cost for figure in results.figures[name])
        for name in names
        if name in results.figures and name not in results.errors
    }
    return min(medians, key=lambda name: medians[name]) if medians else None


def judge(results: Results) -> Verdict:
    """Holds Evener's figures against the row's bounds."""
    row = results.row
    errors = {name: what for name, what in results.errors.items() if name not in TUNED}
    if errors:
        who, what = next(iter(errors.items()))
        return Verdict(None, f"failed: {who}: {what}")
    ours = results.figures.get("evener")
    if not ours:
        return Verdict(None, "not measured: no Evener in this run")
    parts: list[tuple[float, str]] = []
    rival = better(results)
    if row.bound is not None and rival is not None:
        share = ratio(ours, results.figures[rival])
        parts.append((share / row.bound, f"{share:.2f} × {rival} (bound {row.bound:.2f})"))
    if row.bound_floor is not None and "relay" in results.figures:
        share = ratio(ours, results.figures["relay"])
        parts.append(
            (share / row.bound_floor, f"{share:.2f} × relay (bound {row.bound_floor:.2f})")
        )
    if row.bound_absolute is not None:
        cost = median(figure.cost for figure in ours)
        parts.append((cost / row.bound_absolute, f"{cost:.2f} (bound {row.bound_absolute:.2f})"))
    if not parts:
        return Verdict(None, "not judged: nobody to compare with")
    excess = max(part[0] for part in parts)
    word = "held" if excess <= 1 else f"missed by {100 * (excess - 1):.0f} %"
    words = [part[1] for part in parts]
    fastest = better(results, (*RIVALS, *TUNED))
    if row.bound is not None and fastest is not None and fastest in TUNED:
        words.append(f"{ratio(ours, results.figures[fastest]):.2f} × {fastest}")
    return Verdict(excess, f"{word}: {' · '.join(words)}")


def passed(verdicts: Sequence[Verdict]) -> bool:
    """Whether the run as a whole keeps the promise: few misses, none far."""
    missed = [verdict for verdict in verdicts if not verdict.held]
    near = all(verdict.excess is not None and verdict.excess <= MISS_BY for verdict in missed)
    return near and len(missed) <= MAY_MISS


def table(all_results: Sequence[Results], versions: Mapping[str, str]) -> str:
    """The whole table as Markdown."""
    heading = " · ".join(f"{name} {words}" for name, words in versions.items())
    lines = [heading, ""]
    lines.append("| work | proxy | cost, median (min – max) | unit | rate/s | p50 µs | p99 µs |")
    lines.append("|---|---|---:|---|---:|---:|---:|")
    for results in all_results:
        lines += [_line(results, name) for name in versions if name in results.figures]
    lines += ["", "| work | verdict |", "|---|---|"]
    lines += [f"| {results.row.title} | {judge(results).words} |" for results in all_results]
    return "\n".join(lines)


def _line(results: Results, name: str) -> str:
    figures = results.figures[name]
    costs = [figure.cost for figure in figures]
    middle = [
        median(getattr(figure, what) for figure in figures) for what in ("rate", "p50_us", "p99_us")
    ]
    spread = f"**{median(costs):.2f}** ({min(costs):.2f} – {max(costs):.2f})"
    rate = f"{middle[0]:.0f}" if middle[0] >= 100 else f"{middle[0]:.2f}"
    return (
        f"| {results.row.title} | {name} | {spread} | {results.row.unit} | {rate} "
        f"| {middle[1]:.0f} | {middle[2]:.0f} |"
    )
