"""The recorded picks of the real programs are those of a running Evener, over real sockets."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(900)
def test_every_recorded_pick_is_made_through_the_engine() -> None:
    command = [sys.executable, "-m", "tests.conformance.replay"]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    print(done.stdout)
    last = done.stdout.splitlines()[-1] if done.stdout else done.stderr
    agree = re.fullmatch(r"(\d+) of (\d+) scenarios agree", last)
    assert agree, done.stdout + done.stderr
    assert done.returncode == 0
    assert agree[1] == agree[2]
    assert int(agree[1]) > 100
