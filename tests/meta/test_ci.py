"""`.ci/run` beside a Makefile of ours: what ends it well, and what does not."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.acceptance.names import ROOT

TESTS = (
    "test result: ok. 3 passed; 0 failed; 0 ignored",
    "test result: ok. 4 passed; 0 failed; 0 ignored",
    "===== 5 passed in 6.70s =====",
)


def ci(room: Path, recipes: dict[str, str], budget: int = 15) -> tuple[int, list[str]]:
    """Its exit code and its lines, in a folder that is no repository and has no builds."""
    shutil.copytree(ROOT / ".ci", room / ".ci")
    (room / ".ci" / "budget").write_text(f"{budget}\n")
    lines = "; ".join(f"echo '{line}'" for line in TESTS)
    targets = {"setup": "true", "check": "true", "test": lines} | recipes
    text = "".join(f"{name}:\n\t@{recipe}\n" for name, recipe in targets.items())
    (room / "Makefile").write_text(text)
    environment = {name: os.environ[name] for name in os.environ if not name.startswith("MAKE")}
    done = subprocess.run(
        [room / ".ci" / "run"],
        cwd="/",
        env=environment | {"TMPDIR": str(room)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert [path.name for path in room.iterdir() if path.name.startswith("tmp.")] == []
    return done.returncode, done.stdout.splitlines()


def test_all_that_passes_ends_with_the_runners_sums(tmp_path: Path) -> None:
    code, lines = ci(tmp_path, {})
    assert code == 0
    assert lines[-1].startswith("ci: ok in ")
    assert lines[-1].endswith(" of 900; cargo 7 passed, 0 failed; pytest 5 passed in 6.70s")
    steps = [line.split(" (")[0] for line in lines if line.startswith("== ")]
    assert steps == ["== base", "== make setup", "== make check", "== tests"]


@pytest.mark.parametrize("target", ["setup", "check", "test"])
def test_a_step_that_fails_fails_it_all(tmp_path: Path, target: str) -> None:
    code, lines = ci(tmp_path, {target: "false"})
    assert code != 0
    assert lines[-1].startswith("ci: FAILED in ")


@pytest.mark.parametrize("target", ["setup", "test"])
def test_what_hangs_is_ended_with_the_budget(tmp_path: Path, target: str) -> None:
    hangs = f"{sys.executable} -c 'import time; time.sleep(600)'"
    code, lines = ci(tmp_path, {target: hangs}, budget=0)
    assert code == 1
    assert " is over the budget of 0 minutes" in lines[-1]
