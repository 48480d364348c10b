"""Play everything to all three, keep what differs, and write the page.

`python -m tests.conformance.http1.differential [WORD…]`: with words, only families that have one of
them in their names are played, and what became of them is printed instead of kept.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from tests.conformance.http1.differential import page
from tests.conformance.http1.differential.probes import probes
from tests.conformance.http1.differential.run import played, record, write


def main(words: Sequence[str]) -> int:
    """Plays and keeps, or prints; 1 when a difference has no reason yet."""
    chosen = [one for one in probes() if not words or any(word in one.family for word in words)]
    every = played(chosen)
    if words:
        for one in every:
            print(f"{one.probe.family}: {one.probe.send!r} {'DIFFERS' if one.differs else ''}")
            for name, outcome in one.outcomes.items():
                print(f"    {name:8} {outcome.words} {one.cause if name == 'evener' else ''}")
        return 0
    recorded = record(every)
    write(recorded)
    lacking = page.without_reason(recorded)
    if lacking:
        print("no reason in whys.toml for", *lacking, sep="\n  ")
        return 1
    return page.main([])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
