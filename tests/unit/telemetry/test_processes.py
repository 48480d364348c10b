"""Numbers of a process from /proc."""

import os
import time

from evener.telemetry.processes import process


def test_our_own_numbers_are_plausible() -> None:
    own = process("supervisor", os.getpid())
    assert own is not None and own["role"] == "supervisor"
    assert 1 << 20 < own["resident_bytes"] < own["virtual_bytes"]
    assert 3 <= own["open_fds"] <= own["max_fds"]
    assert 0 < own["cpu_seconds"] < 10_000
    assert 0 <= time.time() - own["start_seconds"] < 100_000


def test_a_process_that_has_ended_has_no_numbers() -> None:
    assert process("worker", 2**22 + 1) is None
