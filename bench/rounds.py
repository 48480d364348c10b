"""Run the rows: interleaved rounds over all proxies, each round one figure per proxy.

Rules kept here:
- In a round every proxy gets the same load, one after the other; who is first changes by round, so
  that a drift of the machine falls on all alike.
- A round with an error gives no figure, and the error is kept for the table. A rival may try twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from bench import load
from bench.accounts import TreeChanged, processor_time
from bench.idle import kib_per_connection
from bench.machine import MachineError
from bench.proxies import Proxy, start_proxy
from bench.rows import Row, Work
from bench.stage import Stage

WARM_SECONDS = 1.0
IDLE_ROUNDS = 3  # memory does not scatter as time does


@dataclass(frozen=True)
class Figure:
    """What one proxy cost in one round. `cost` is in the row's unit, `rate` in units a second."""

    cost: float
    rate: float
    p50_us: float
    p99_us: float


@dataclass
class Results:
    """All figures of one row, per proxy, in the order of the rounds."""

    row: Row
    figures: dict[str, list[Figure]] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Settings:
    """How hard to measure.

    Attributes:
        idle: Connections of the idle rows.
        evener: How Evener is started (see `start_proxy`).
        say: Takes a line of progress.
    """

    rounds: int
    seconds: float
    idle: int
    evener: str
    say: Callable[[str], None]


def run_row(row: Row, names: Sequence[str], stage: Stage, settings: Settings) -> Results:
    """All rounds of one row."""
    results = Results(row)
    names = [name for name in names if name != "relay" or row.has_floor]
    rounds = min(settings.rounds, IDLE_ROUNDS) if row.work is Work.IDLE else settings.rounds
    with ExitStack() as ends:
        proxies: dict[str, Proxy] = {}
        for number in range(rounds):
            for name in rotated(names, number):
                if name in results.errors:
                    continue
                try:
                    figure = _fairly(row, name, proxies, ends, stage, settings)
                except (load.WrongAnswer, TreeChanged, MachineError) as error:
                    results.errors[name] = f"round {number + 1}: {error}"
                    settings.say(f"  {row.name} {name}: {error}")
                    continue
                results.figures.setdefault(name, []).append(figure)
                settings.say(
                    f"  {row.name} {number + 1}/{rounds} {name:8} {figure.cost:8.2f} {row.unit}"
                )
    return results


def rotated(names: Sequence[str], number: int) -> list[str]:
    """The names, beginning with another one each round."""
    at = number % len(names)
    return [*names[at:], *names[:at]]


def _fairly(
    row: Row,
    name: str,
    proxies: dict[str, Proxy],
    ends: ExitStack,
    stage: Stage,
    settings: Settings,
) -> Figure:
    """One figure. A rival that stumbles may try once more, so that the row is not lost."""
    try:
        return _one(row, name, proxies, ends, stage, settings)
    except load.WrongAnswer as error:
        if name == "evener":
            raise
        settings.say(f"  {row.name} {name}: {error}; once more")
        return _one(row, name, proxies, ends, stage, settings)


def _one(
    row: Row,
    name: str,
    proxies: dict[str, Proxy],
    ends: ExitStack,
    stage: Stage,
    settings: Settings,
) -> Figure:
    if row.work is Work.IDLE:
        return _idle_figure(row, name, stage, settings)
    if name not in proxies:
        proxies[name] = start_proxy(name, stage, [row], settings.evener)
        ends.callback(proxies[name].running.stop)
        load.run(row, proxies[name].ports[row.way], stage, WARM_SECONDS)
    return _load_figure(row, proxies[name], stage, settings.seconds)


def _load_figure(row: Row, proxy: Proxy, stage: Stage, seconds: float) -> Figure:
    before = processor_time(proxy.running.pid)
    served = load.run(row, proxy.ports[row.way], stage, seconds)
    spent_us = processor_time(proxy.running.pid).since(before)
    cost = spent_us / served.units / (1000 if row.work is Work.STREAM else 1)
    return Figure(cost, served.units / served.seconds, served.p50_us, served.p99_us)


def _idle_figure(row: Row, name: str, stage: Stage, settings: Settings) -> Figure:
    proxy = start_proxy(name, stage, [row], settings.evener)
    try:
        kib, again = kib_per_connection(row, proxy, stage, settings.idle)
    finally:
        proxy.running.stop()
    return Figure(kib, again.units / again.seconds, again.p50_us, again.p99_us)
