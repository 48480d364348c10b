"""Results for a terminal of 80 columns.

Not known here: how results come about.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from evener.lab.results import Result, Span

_HEAD = ("SCHEDULER", "GOOD", "MEAN", "P50", "P99", "P99.9", "BUSIEST")


def results(found: Sequence[Result]) -> str:
    """A line per scheduler."""
    rows = [
        (
            result.scheduler,
            f"{100 * result.good:.2f}%",
            span(result.mean),
            *(quantile(result.quantile(name)) for name in ("p50", "p99", "p999")),
            f"{result.evenness:.2f}x",
        )
        for result in found
    ]
    return table([_HEAD, *rows])


def rows(found: Sequence[dict[str, Any]]) -> str:
    """A line per row of a study."""
    lines = [("", "WHAT", "MUST BE", "IS", "OF ALL SEEDS")]
    for row in found:
        unit = f" {row['unit']}" if row["unit"] else ""
        figures = row["found"]
        lines.append(
            (
                "ok" if holds(row) else "LEFT",
                row["what"],
                must(row["must"], unit),
                f"{sum(figures) / len(figures):.4g}",
                f"{min(figures):.4g} … {max(figures):.4g}",
            )
        )
    return table(lines)


def must(must: dict[str, Any], unit: str) -> str:
    """What a figure must be, in words."""
    [(kind, figure)] = must.items()
    if kind == "published":
        return f"{figure[0]:g}{unit} ± {100 * figure[1]:.0f} %"
    return f"{'≥' if kind == 'at_least' else '≤'} {figure:g}{unit}"


def holds(row: dict[str, Any]) -> bool:
    """Whether a row is what it must be: a published figure by the mean, a bound by each seed."""
    [(kind, figure)] = row["must"].items()
    found = row["found"]
    if kind == "published":
        return bool(abs(sum(found) / len(found) / figure[0] - 1) <= figure[1])
    return all(one >= figure if kind == "at_least" else one <= figure for one in found)


def span(ms: float | None) -> str:
    """A time with three digits."""
    if ms is None:
        return "never"
    if ms < 1:
        return f"{1000 * ms:.3g}us"
    return f"{ms:.3g}ms" if ms < 1000 else f"{ms / 1000:.3g}s"


def quantile(figure: Span) -> str:
    """A quantile: the mean of all seeds, or `never` where one had too many failures."""
    return span(figure.mean)


def table(lines: Sequence[Sequence[str]]) -> str:
    """Columns as wide as they must be; figures to the right."""
    widths = [max(len(line[at]) for line in lines) for at in range(len(lines[0]))]

    def cell(text: str, at: int) -> str:
        is_word = at == 0 or lines[0][at] in ("WHAT", "MUST BE")
        return text.ljust(widths[at]) if is_word else text.rjust(widths[at])

    return "\n".join(
        "  ".join(cell(text, at) for at, text in enumerate(line)).rstrip() for line in lines
    )
