"""What to make of results, in words, with the evidence and with what they cannot show."""

from __future__ import annotations

from collections.abc import Sequence

from evener.lab.results import Result, best
from evener.lab.tables import span

#: Below this part a difference is not worth a change.
WORTH = 0.1


def advice(results: Sequence[Result], slots: int | None, odd: Sequence[str]) -> list[str]:
    """Sentences about a replay.

    Args:
        results: what came of it.
        slots: requests a server works on at once; None is all that come.
        odd: servers that were slow or broken at times.
    """
    winner = best(results)
    others = [result for result in results if result is not winner]
    said = [_choice(winner, others), *(_against(winner, other) for other in others)]
    if odd:
        said.append(
            f"At times {_list(odd)} {'was' if len(odd) == 1 else 'were'} slow or failing: that is "
            "where schedulers that watch times differ from those that count."
        )
    if slots is None:
        said.append(
            "In this model a crowd slows nobody down, as the log shows no such thing: what it "
            "tells is who avoids slow servers, not who keeps queues short."
        )
    return said


def _choice(winner: Result, others: Sequence[Result]) -> str:
    if not others:
        return f"{winner.scheduler} was played alone: name others to have it compared."
    close = [other.scheduler for other in others if not _differs(winner, other)]
    if len(close) == len(others):
        return "It makes no difference worth a change: stay with what you have."
    also = f" ({_list(close)} did about as well)" if close else ""
    return f"Recommended: {winner.scheduler}{also}."


def _against(winner: Result, other: Result) -> str:
    """A sentence of evidence."""
    one, two = winner.quantile("p99"), other.quantile("p99")
    parts = []
    if abs(winner.good - other.good) >= 0.0005:
        parts.append(f"{100 * winner.good:.2f} % good answers, not {100 * other.good:.2f} %")
    if one.mean is not None and two.mean is not None and two.most is not None:
        parts.append(
            f"p99 {span(one.mean)}, not {span(two.mean)} ({span(two.least)} to {span(two.most)} "
            "over the seeds)"
        )
    parts.append(f"mean {span(winner.mean)}, not {span(other.mean)}")
    return f"{winner.scheduler} beside {other.scheduler}: " + ", ".join(parts) + "."


def _differs(winner: Result, other: Result) -> bool:
    if winner.good - other.good >= 0.001:
        return True
    one, two = winner.quantile("p99").mean, other.quantile("p99").mean
    if one is None or two is None:
        return one != two
    return two > one * (1 + WORTH) or other.mean > winner.mean * (1 + WORTH)


def _list(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
