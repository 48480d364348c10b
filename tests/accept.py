"""`make accept`: each promise of tests/ACCEPTANCE.md with its figure and verdict.

Options: SECTION or ID … to look at some only; `--bench` measures the bench anew instead of reading
its last table; `--here` leaves out what needs a fresh clone (`make demo` and `.ci/run`, about 20
minutes). 1 when a clause failed; what was not measured is said and fails nothing.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from tests.acceptance import page
from tests.acceptance.page import Clause, Section
from tests.acceptance.runs import carry_out
from tests.acceptance.verdicts import Result, Verdict, of_clause, words

_IDS, _VERDICTS = 30, 14


def main(arguments: Sequence[str] | None = None) -> int:
    """Carries out what was asked for and prints the page."""
    parser = argparse.ArgumentParser(prog="python -m tests.accept", description=__doc__)
    parser.add_argument("only", nargs="*", metavar="SECTION|ID")
    parser.add_argument("--bench", action="store_true", help="measure the bench anew")
    parser.add_argument("--here", action="store_true", help="nothing that needs a fresh clone")
    options = parser.parse_args(arguments)
    sections = chosen(page.sections(), options.only)
    if not sections:
        parser.error(f"no section or clause of this name: {' '.join(options.only)}")
    proofs = [
        proof for section in sections for clause in section.clauses for proof in clause.proofs
    ]
    results = carry_out(proofs, bench_anew=options.bench, cloned=not options.here)
    outcomes = [
        (section, [(clause, of_clause(clause, results)) for clause in section.clauses])
        for section in sections
    ]
    print(report(outcomes))
    verdicts = [result.verdict for _, rows in outcomes for _, result in rows]
    return 1 if Verdict.FAILED in verdicts else 0


def chosen(sections: Sequence[Section], only: Sequence[str]) -> list[Section]:
    """The sections named, or cut to the clauses named; all of them when nothing is."""
    found = []
    for section in sections:
        rows = [one for one in section.clauses if not only or {one.id, one.section} & set(only)]
        if rows:
            found.append(Section(section.number, section.title, tuple(rows)))
    return found


def report(outcomes: Sequence[tuple[Section, Sequence[tuple[Clause, Result]]]]) -> str:
    """The page as printed: a line per clause, and the sum."""
    lines = []
    for section, rows in outcomes:
        lines += ["", f"{section.number}. {section.title}"]
        lines += [
            f"  {clause.id:<{_IDS}} {result.verdict.value:<{_VERDICTS}} {words(result)}".rstrip()
            for clause, result in rows
        ]
    every = [result.verdict for _, rows in outcomes for _, result in rows]
    held, unseen = every.count(Verdict.HELD), every.count(Verdict.NOT_MEASURED)
    rest = f", {unseen} not measured" if unseen else ""
    return "\n".join([*lines, "", f"{held} of {len(every)} clauses hold{rest}"])


if __name__ == "__main__":
    sys.exit(main())
