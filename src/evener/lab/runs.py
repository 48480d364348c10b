"""Runs: a scenario under several schedulers with several seeds, on all processors.

The extension releases the GIL, so that threads are enough; results stand in the order asked for,
whatever ends first.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from evener.lab import engine
from evener.lab.results import Result
from evener.lab.scenario import Scenario

#: Pieces of time that plots show.
SLICES = 60


def compare(
    scenario: Scenario, schedulers: Sequence[str] = (), *, seeds: int = 5, slices: int = SLICES
) -> list[Result]:
    """Runs a scenario under each scheduler (its own by default) with the seeds from 1 on.

    Raises:
        ConfigError: there is no such scheduler.
        LabError: the scenario makes no sense.
    """
    if seeds < 1:
        raise engine.LabError(f"{seeds} seeds: at least one is needed")
    cases = [scenario.under(name) for name in schedulers] or [scenario]
    return run_plans([[case.plan(seed) for seed in range(1, seeds + 1)] for case in cases], slices)


@contextmanager
def processors() -> Iterator[ThreadPoolExecutor]:
    """Threads, one per processor. What is waiting for one is given up when an error, or Ctrl-C,
    ends it all; what runs cannot be, and is waited for."""
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as threads:
        try:
            yield threads
        except BaseException:
            threads.shutdown(wait=False, cancel_futures=True)
            raise


def run_plans(plans: Sequence[Sequence[dict[str, Any]]], slices: int) -> list[Result]:
    """Runs plans: a list per scheduler, in it one per seed."""
    with processors() as threads:
        futures = [[threads.submit(engine.run, plan, slices) for plan in seeds] for seeds in plans]
        runs = [tuple(future.result() for future in seeds) for seeds in futures]
    return [
        Result(seeds[0]["scheduler"], seeds, _weights(cases[0]["pool"]["servers"]))
        for seeds, cases in zip(runs, plans, strict=True)
    ]


def _weights(servers: Sequence[dict[str, Any]]) -> tuple[int, ...]:
    """What servers should have; those that wait for others, or are out, nothing."""
    ready = [server for server in servers if server["admin"] == "ready"]
    first = min((server["tier"] for server in ready), default=0)
    return tuple(
        server["weight"] if (server["admin"], server["tier"]) == ("ready", first) else 0
        for server in servers
    )
