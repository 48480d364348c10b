"""A reload of 10,000 servers and 1,000 routes: its time, the worker's part, the shards' pause."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import pytest

from bench.large import SERVERS, lines

from .rig.checking import CheckingClient
from .rig.instance import Evener
from .rig.origin import Origin
from .rig.waiting import eventually

WHOLE, WORKER, PAUSE = 2.0, 150.0, 2.0
"""Bounds of issue 3, §2: seconds from file to swapped plan; of it milliseconds in the worker, and
milliseconds that a shard does nothing else."""


@pytest.mark.alone
@pytest.mark.timeout(180)
def test_a_large_plan_is_swapped_within_its_bounds_and_costs_no_answer(
    evener: Evener, origin: Origin, record_property: Callable[[str, object], None]
) -> None:
    """Medians of five reloads, each of which changes every server, under load."""
    host, _, port = evener.listen.rpartition(":")

    def text(generation: int) -> str:
        whole = "\n".join(lines(int(port), origin.port, generation))
        live = whole.replace(f'["127.0.0.1:{origin.port}"]', f'["{origin.address}"]')
        return live.replace(f'"127.0.0.1:{port}"', f'"{host}:{port}"') + "\n"

    evener.start(text(0))
    took, built, paused = [], [], []
    with CheckingClient(evener.listen, connections=4) as client:
        eventually(lambda: client.account.answered > 50, what="load")
        for generation in range(1, 6):
            evener.write(text(generation))
            begun = time.monotonic()
            answer = evener.reload()
            took.append(time.monotonic() - begun)
            built.append(answer["build_ms"])
            paused.append(answer["pause_ms"])
            assert answer["kept"] + answer["added"] == SERVERS + 1
        account = client.stop()
    assert not account.anomalies, account.anomalies
    record_property(
        "figure",
        f"{median(took):.2f} s from file to swapped plan, {median(built):.0f} ms in the worker, "
        f"shards paused {median(paused):.2f} ms (longest {max(paused):.2f})",
    )
    assert median(took) <= WHOLE, took
    assert median(built) <= WORKER, built
    assert median(paused) <= PAUSE, paused
