"""What came of a proof, and what that means for its clause.

Rules kept here:
- A clause fails with any of its proofs, and holds only when all of them were seen to hold.
- What was not run, or cannot be judged, is *not measured*: never held, never failed.
Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from tests.acceptance.page import Clause, Proof


class Verdict(Enum):
    """How it ended; the value is the word shown."""

    HELD = "held"
    FAILED = "failed"
    NOT_MEASURED = "not measured"


@dataclass(frozen=True)
class Result:
    """What came of one proof.

    Attributes:
        figure: What was measured, in words; empty where a test says no more than that it passed.
        tests: How many tests were run for it, and `seconds` how long they took.
    """

    verdict: Verdict
    figure: str = ""
    tests: int = 0
    seconds: float = 0.0


UNSEEN = Result(Verdict.NOT_MEASURED, "not run")


def of_clause(clause: Clause, results: Mapping[Proof, Result]) -> Result:
    """A clause's verdict, with the figures of its proofs (those that decide, when it fails)."""
    return together([results.get(proof, UNSEEN) for proof in clause.proofs])


def together(results: list[Result]) -> Result:
    """What several proofs, or several runs of one test, are as one."""
    if not results:
        return UNSEEN
    verdict = _worst([one.verdict for one in results])
    said = [one.figure for one in results if one.figure and one.verdict is verdict]
    return Result(
        verdict,
        " · ".join(dict.fromkeys(said)),
        sum(one.tests for one in results),
        sum(one.seconds for one in results),
    )


def words(result: Result) -> str:
    """What a line of the report says beside the verdict."""
    if result.figure or not result.tests:
        return result.figure
    return f"{result.tests} test{'s' * (result.tests != 1)} in {result.seconds:.1f} s"


def _worst(verdicts: list[Verdict]) -> Verdict:
    for word in (Verdict.FAILED, Verdict.NOT_MEASURED):
        if word in verdicts:
            return word
    return Verdict.HELD
