"""What a pick costs, and whether that is within its bounds: `python -m bench.picks`.

The figures are those of `crates/evener-balance/examples/pick_cost.rs`: time on a core for a pick
with its report and the end of its lease. Schedulers whose definition looks at every server are held
to the bound of a scan, and named as such.
"""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass

from bench.stage import HERE

FEW, MANY, SCAN = 100.0, 1_000.0, 10_000.0
"""Nanoseconds: with 10 servers, with 10,000, and where the definition forces a scan."""

SCANS = {
    "evener/rendezvous": "each server's number is made with the key",
    "nginx/least_time header inflight": "what is under way counts with its time so far",
    "lvs/rr -p": "a thousand clients have their templates",
}
"""Schedulers that look at more than a few servers, each with what forces it."""

ROW = re.compile(r"(\S+/\S+.*?) +(\d+) +(\d+) +(\d+) +(\d+)")


@dataclass(frozen=True)
class Cost:
    """A scheduler's costs in nanoseconds; `contended` is with four threads at one pool."""

    name: str
    few: float
    contended: float
    many: float

    @property
    def scan(self) -> str:
        """What forces a scan, if anything does."""
        return SCANS.get(self.name.removesuffix("1-9").strip(), "")

    @property
    def held(self) -> bool:
        """Whether both bounds hold."""
        return self.few <= (MANY if self.scan else FEW) and self.many <= (
            SCAN if self.scan else MANY
        )


def read(text: str) -> list[Cost]:
    """The rows of what the example prints."""
    found = [ROW.fullmatch(line.strip()) for line in text.splitlines()]
    return [
        Cost(row[1], float(row[2]), float(row[3]), float(row[5]))
        for row in found
        if row is not None
    ]


def table(costs: list[Cost]) -> str:
    """The rows as people read them."""
    lines = [
        "| scheduler | 10 servers | 10, 4 threads | 10,000 servers | |",
        "|---|---|---|---|---|",
    ]
    for cost in costs:
        verdict = "" if cost.held else "above its bound"
        words = "; ".join(filter(None, [verdict, cost.scan and f"a scan: {cost.scan}"]))
        figures = f"{cost.few:.0f} ns | {cost.contended:.0f} ns | {cost.many:.0f} ns"
        lines.append(f"| {cost.name} | {figures} | {words} |")
    return "\n".join(lines)


def main() -> int:
    """Measures, prints the table; 1 when a bound does not hold."""
    command = ["cargo", "run", "--quiet", "--release", "--locked", "-p", "evener-balance"]
    command += ["--example", "pick_cost", *sys.argv[1:]]
    said = subprocess.run(command, cwd=HERE.parent, check=True, capture_output=True, text=True)
    costs = read(said.stdout)
    print(table(costs))
    above = [cost.name for cost in costs if not cost.held]
    if above:
        print(f"above their bounds: {', '.join(above)}")
    return 1 if above or not costs else 0


if __name__ == "__main__":
    sys.exit(main())
