"""`make fuzz-planted`: each planted bug is found by its fuzz target within a minute, seeds alone.

The bugs stand in fuzz/planted.toml; they are made in a copy, as `run` makes its edits. 1 when one
is not found, is stale or does not build.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

from tests.acceptance.page import proof
from tests.mutants.copy import Copy
from tests.mutants.edits import Mutant, stale

ROOT = Path(__file__).parents[2]
FILE = ROOT / "fuzz" / "planted.toml"
SECONDS = 60


@dataclass(frozen=True)
class Planted:
    """One bug: the target that must find it, what it is, and the edit that makes it."""

    target: str
    what: str
    file: str
    old: str
    new: str

    @property
    def edit(self) -> Mutant:
        """The bug as an edit; no test but its target is asked."""
        return Mutant(self.target, self.what, self.file, self.old, self.new, proof("make fuzz"))


def planted() -> list[Planted]:
    """All of them."""
    return [Planted(**row) for row in tomllib.loads(FILE.read_text())["planted"]]


def main(only: list[str]) -> int:
    """Plants each (or those of the targets named), fuzzes, and prints a line for each."""
    every = [one for one in planted() if not only or one.target in only]
    for line in stale(ROOT, [one.edit for one in every]):
        print(f"planted: {line}")
        return 1
    room = ROOT / "target" / "mutants"
    copy = Copy(room / "tree", room / "builds")
    copy.tree.mkdir(parents=True, exist_ok=True)
    copy.follow(ROOT)
    found = 0
    for one in every:
        with copy.edited(one.edit):
            said = _fuzz(copy, one.target)
        copy.follow(ROOT)
        hit = "BROKEN" in said
        found += hit
        last = said.strip().splitlines()[-1] if said.strip() else "nothing was built"
        print(f"{'found' if hit else 'MISSED'}: {one.what}\n    {last}", flush=True)
    print(f"{found} of {len(every)} planted bugs are found within {SECONDS} s each")
    return 0 if found == len(every) else 1


def _fuzz(copy: Copy, target: str) -> str:
    """What `run.sh` says of a target in the copy; its corpus and findings do not outlive it."""
    environment = {
        **os.environ,
        "CARGO_TARGET_DIR": str(copy.builds / "fuzz"),
        "SECONDS_EACH": str(SECONDS),
    }
    command = [str(copy.tree / "fuzz" / "run.sh"), target]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    for name in ("corpus", "regressions"):
        for path in (copy.tree / "fuzz" / name / target).glob("*"):
            path.unlink()
    if done.returncode not in (0, 1):
        print(done.stderr[-2000:], file=sys.stderr)
    return done.stdout


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
