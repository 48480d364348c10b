"""One schedule of requests, played to nginx or HAProxy and to Evener: equal picks."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conformance.peers.cases import cases

ROOT = Path(__file__).parents[2]
ALL = len(list(cases()))


def play(*arguments: str) -> tuple[int, int]:
    """How many plays are equal, and how many there are."""
    command = [sys.executable, "-m", "tests.conformance.peers", *arguments]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    print(done.stdout)
    last = done.stdout.splitlines()[-1] if done.stdout else done.stderr
    equal = re.fullmatch(r"(\d+) of (\d+) plays of \d+ picks are equal", last)
    assert equal, done.stdout + done.stderr
    assert (done.returncode == 0) == (equal[1] == equal[2])
    return int(equal[1]), int(equal[2])


# A look: `python -m tests.conformance.peers` plays a thousand picks with five seeds, and
# `--engine` the same to a running Evener.
@pytest.mark.timeout(900)
def test_a_running_evener_picks_as_the_programs_do() -> None:
    equal, played = play("--engine", "40", "7")
    assert equal == played == ALL
