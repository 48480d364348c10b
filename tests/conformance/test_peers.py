"""One schedule of requests, played to nginx or HAProxy and to a running Evener: equal picks."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.alone
@pytest.mark.timeout(900)
def test_a_running_evener_picks_as_the_programs_do() -> None:
    # A look: `python -m tests.conformance.peers --engine` plays a thousand picks with five seeds.
    command = [sys.executable, "-m", "tests.conformance.peers", "--engine", "60", "7"]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    print(done.stdout)
    last = done.stdout.splitlines()[-1] if done.stdout else done.stderr
    equal = re.fullmatch(r"(\d+) of (\d+) cases are equal", last)
    assert equal, done.stdout + done.stderr
    assert done.returncode == 0
    assert equal[1] == equal[2]
    assert int(equal[1]) >= 20
