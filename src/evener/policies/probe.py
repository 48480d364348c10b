"""Looks at policies in a process of its own, for `evener check` and before each plan.

Rules kept here:
- What policies print goes to stderr; the one line of stdout is the answer, as JSON.
- Each policy has either a version or what is wrong with it.
Not known here: where policies are named.
"""

from __future__ import annotations

import json
import os
import sys

from evener.policies import PolicyError
from evener.policies.loading import load, version


def main(references: list[str]) -> None:
    """Prints {reference: {"version": …} or {"got": …, "expected": …, "hint": …}}."""
    sys.dont_write_bytecode = True
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    found = {reference: look(reference) for reference in references}
    answer.write(json.dumps(found))
    answer.close()
    # Threads that a policy began must not hold this up.
    os._exit(0)


def look(reference: str) -> dict[str, str]:
    """What is to be said of one."""
    try:
        load(reference)
        return {"version": version(reference)}
    except PolicyError as error:
        return {"got": error.got, "expected": error.expected, "hint": error.hint}
