"""Plots of results by matplotlib, which is no dependency of Evener's own.

Rules kept here:
- Without matplotlib the error names the command that brings it.
- The file's ending decides: `.svg`, `.png`, or whatever else matplotlib can write.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evener.lab.engine import LabError
from evener.lab.results import Result


class NoPlotError(LabError):
    """Nothing can be plotted here."""


def plot(results: Sequence[Result], path: Path, title: str) -> None:
    """Draws p99 and the part of good answers over time, a line per scheduler.

    Raises:
        NoPlotError: matplotlib is not installed, or cannot write such a file.
    """
    plots = _matplotlib()
    figure, (above, below) = plots.subplots(
        2, 1, figsize=(8, 5), sharex=True, height_ratios=(3, 1), layout="constrained"
    )
    for result in results:
        times, p99, good = _lines(result)
        above.plot(times, p99, label=result.scheduler, linewidth=1.2)
        below.plot(times, good, linewidth=1.2)
    above.set_title(title)
    above.set_yscale("log")
    above.set_ylabel("p99, ms")
    above.legend(fontsize="small")
    below.set_ylabel("good, %")
    below.set_xlabel("s")
    try:
        figure.savefig(path)
    except (ValueError, OSError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise NoPlotError(f"{path} cannot be written: {why}") from None
    finally:
        plots.close(figure)


def _lines(result: Result) -> tuple[list[float], list[float], list[float]]:
    """Times, p99 and good answers of the first seed, piece by piece."""
    slices = [piece for piece in result.runs[0]["slices"] if piece["times"]["requests"]]
    times = [piece["from"] / 1e6 for piece in slices]
    p99 = [
        float("nan") if piece["times"]["p99"] is None else piece["times"]["p99"] / 1000
        for piece in slices
    ]
    return times, p99, [100 * piece["times"]["good"] for piece in slices]


def _matplotlib() -> Any:
    try:
        import matplotlib as library
    except ImportError:
        error = NoPlotError("plots need matplotlib, which is not installed")
        error.remedy = "pip install 'evener[lab]'"
        raise error from None
    library.use("Agg")
    from matplotlib import pyplot

    return pyplot
