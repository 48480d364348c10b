"""`make mutants`: each edit is made in a copy, and its test must fail; without it, it must pass.

Options: CLAUSE or SECTION … for some only (`http` is the rules of HTTP, `http.ID` one of them);
`--check` only sees that every edit still applies (`make check` does); `--room DIR` for the copy and
its builds (target/mutants). 1 when an edit is stale or survives, when it does not build, or when a
test fails without any.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from tests.acceptance.page import Proof
from tests.mutants.copy import BuildError, Copy
from tests.mutants.edits import Mutant, mutants, stale

ROOT = Path(__file__).parents[2]
KILLED = "killed"


def main(arguments: Sequence[str] | None = None) -> int:
    """Carries out what was asked for and prints a line per edit."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants.run", description=__doc__)
    parser.add_argument("only", nargs="*", metavar="CLAUSE|SECTION")
    parser.add_argument("--check", action="store_true", help="only whether the edits apply")
    parser.add_argument("--room", type=Path, default=ROOT / "target" / "mutants")
    options = parser.parse_args(arguments)
    every = chosen(mutants(), options.only)
    if not every:
        parser.error(f"no edit for {' '.join(options.only)}")
    lines = stale(ROOT, every)
    for line in lines:
        print(f"mutants: {line}")
    if options.check or lines:
        print(f"{len(every)} edits, {len(lines)} stale")
        return 1 if lines else 0
    return carry_out(every, Copy(options.room / "tree", options.room / "builds"))


def chosen(every: Sequence[Mutant], only: Sequence[str]) -> list[Mutant]:
    """The edits of these clauses or sections; all of them when none is named."""
    return [
        mutant
        for mutant in every
        if not only or {mutant.clause, mutant.clause.partition(".")[0]} & set(only)
    ]


def carry_out(every: Sequence[Mutant], copy: Copy) -> int:
    """Makes the edits one by one, those that need one build together."""
    begun = time.monotonic()
    copy.tree.mkdir(parents=True, exist_ok=True)
    copy.follow(ROOT)
    killed = 0
    for _, group in groupby(sorted(every, key=_order), key=lambda mutant: mutant.room):
        members = list(group)
        if members[0].through_python:
            copy.build_extension()
        sound = _sound(copy, members)
        for mutant in members:
            verdict = _try(copy, mutant) if mutant.test in sound else "its test fails without it"
            killed += verdict == KILLED
            print(_line(mutant, verdict), flush=True)
    took = time.monotonic() - begun
    print(f"{killed} of {len(every)} edits are noticed, {took:.0f} s")
    return 0 if killed == len(every) else 1


def _sound(copy: Copy, members: Sequence[Mutant]) -> set[Proof]:
    """The tests that pass without any edit."""
    proofs = sorted({mutant.test for mutant in members})
    if copy.passes(proofs):
        return set(proofs)
    return {proof for proof in proofs if copy.passes([proof])}


def _try(copy: Copy, mutant: Mutant) -> str:
    with copy.edited(mutant):
        try:
            if mutant.through_python:
                copy.build_extension()
            return "SURVIVES" if copy.passes([mutant.test]) else KILLED
        except BuildError as error:
            print(error, file=sys.stderr)
            return "does not build"


def _order(mutant: Mutant) -> tuple[str, ...]:
    return (*mutant.room, mutant.file)


def _line(mutant: Mutant, verdict: str) -> str:
    return f"{mutant.clause:<22} {verdict:<9} {mutant.what}\n{'':<33}{mutant.test}"


if __name__ == "__main__":
    sys.exit(main())
