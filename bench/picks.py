"""What a pick costs, and whether that is within its bounds: `python3 -m bench.picks`.

    python3 -m bench.picks [--write | --pages | --check] [NAME]

`--write` puts the table into bench/RESULTS.md and each scheduler's figures on its page; `--pages`
writes the pages from the table that stands there, without measuring, and `--check` only sees that
they are so.

Rules kept here:
- The figures are those of `crates/evener-balance/examples/pick_cost.rs`: time for a pick, which the
  bounds are for, and apart from it for its report and the end of its lease; the least of many
  rounds.
- What else runs on the machine can only add: rows that are above their bounds are measured again, a
  few times, and of each figure the least counts.
- Schedulers whose definition looks at every server are held to the bound of a scan, and named as
  such.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from bench import tables
from bench.stage import HERE

FEW, MANY, SCAN = 100.0, 1_000.0, 10_000.0
"""Nanoseconds: with 10 servers, with 10,000, and where the definition forces a scan."""

SCANS = {
    "evener/rendezvous": "each server's number is made with the key",
    "evener/prequal": "a pool of 16 estimates is gone through, and three are made anew",
    "nginx/least_time header inflight": "what is under way counts with its time so far",
}
"""Schedulers that look at more than a few servers, each with what forces it."""

AGAIN, PAUSE = 12, 2.0
"""Times that rows above their bounds are measured again, and seconds before each."""

WEIGHTED = " 1-9"
PAGES = HERE.parent / "docs" / "concepts" / "schedulers"
MEASURED = "**Measured** "

ROW = re.compile(r"(\S+/\S+.*?) +(\d+) +(\d+) +(\d+) +(\d+)")
LINE = re.compile(r"\| (\S+/\S+.*?) \| (\d+) ns \| (\d+) ns \| (\d+) ns \| (\d+) ns \| .*\|")


@dataclass(frozen=True)
class Cost:
    """A scheduler's costs in nanoseconds.

    Attributes:
        few: A pick among 10 servers.
        end: Its report and the end of its lease, there.
        contended: All of that with four threads at one pool.
        many: A pick among 10,000 servers.
    """

    name: str
    few: float
    end: float
    contended: float
    many: float

    @property
    def scan(self) -> str:
        """What forces a scan, if anything does."""
        return SCANS.get(self.name.removesuffix(WEIGHTED).strip(), "")

    @property
    def held(self) -> bool:
        """Whether both bounds hold."""
        return self.few <= (MANY if self.scan else FEW) and self.many <= self.most_many

    @property
    def most_many(self) -> float:
        """The bound with 10,000 servers."""
        return SCAN if self.scan else MANY

    def least(self, other: Cost) -> Cost:
        """The lesser of each figure."""
        return replace(
            self,
            few=min(self.few, other.few),
            end=min(self.end, other.end),
            contended=min(self.contended, other.contended),
            many=min(self.many, other.many),
        )


def read(text: str) -> list[Cost]:
    """The rows of what the example prints."""
    found = [ROW.fullmatch(line.strip()) for line in text.splitlines()]
    return [
        Cost(row[1], float(row[2]), float(row[3]), float(row[4]), float(row[5]))
        for row in found
        if row is not None
    ]


def read_table(text: str) -> list[Cost]:
    """The rows of a table that `table` made."""
    found = [LINE.fullmatch(line) for line in text.splitlines()]
    return [
        Cost(row[1], float(row[2]), float(row[3]), float(row[4]), float(row[5]))
        for row in found
        if row is not None
    ]


def table(costs: Sequence[Cost]) -> str:
    """The rows as people read them."""
    lines = [
        "| scheduler | 10 servers | its end | both, 4 threads | 10,000 servers | |",
        "|---|---|---|---|---|---|",
    ]
    for cost in costs:
        verdict = "" if cost.held else "above its bound"
        words = "; ".join(filter(None, [verdict, cost.scan and f"a scan: {cost.scan}"]))
        each = (cost.few, cost.end, cost.contended, cost.many)
        figures = " | ".join(f"{figure:.0f} ns" for figure in each)
        lines.append(f"| {cost.name} | {figures} | {words} |")
    return "\n".join(lines)


def figures(scheduler: str, costs: Sequence[Cost]) -> str:
    """The line of a scheduler's page: its figures, of each of its variants."""
    said = []
    for cost in costs:
        name, _, variant = cost.name.partition(" ")
        if name != scheduler or cost.name.endswith(WEIGHTED):
            continue
        weighted = next((each for each in costs if each.name == cost.name + WEIGHTED), cost)
        said.append(
            f"{f'`{variant}`: ' if variant else ''}{cost.few:.0f} ns with 10 servers and "
            f"{cost.many:.0f} ns with 10,000; by weights of 1 to 9 {weighted.few:.0f} and "
            f"{weighted.many:.0f} ns; its report and its end {cost.end:.0f} ns; all of it "
            f"{cost.contended:.0f} ns where four threads pick at once"
        )
    return f"{MEASURED}{'. '.join(said)}. All of them: [bench](../../../bench/RESULTS.md)."


def with_figures(page: str, line: str) -> str:
    """A scheduler's page with this line, which stands below what it costs in words."""
    kept = [part for part in page.split("\n\n") if not part.startswith(MEASURED)]
    at = next(at for at, part in enumerate(kept) if part.startswith("**Cost**"))
    return "\n\n".join([*kept[: at + 1], line, *kept[at + 1 :]])


def stale_pages(costs: Sequence[Cost], pages: Path = PAGES) -> dict[Path, str]:
    """Pages of schedulers that do not have the table's figures, and what they should be.

    A page of none of them is as it should be: evener/python costs what its policy does.
    """
    measured = {cost.name.partition(" ")[0] for cost in costs}
    stale = {}
    for path in sorted(pages.glob("*-*.md")):
        text = path.read_text()
        scheduler = text.splitlines()[0].removeprefix("# ")
        wanted = with_figures(text, figures(scheduler, costs)) if scheduler in measured else text
        if text != wanted:
            stale[path] = wanted
    return stale


def measure(name: str) -> list[Cost]:
    """The costs of the schedulers whose names have this in them."""
    command = ["cargo", "run", "--quiet", "--release", "--locked", "-p", "evener-balance"]
    command += ["--example", "pick_cost", name]
    said = subprocess.run(command, cwd=HERE.parent, check=True, capture_output=True, text=True)
    return read(said.stdout)


def measure_well(name: str) -> list[Cost]:
    """The same, and what is above its bounds again."""
    costs = {cost.name: cost for cost in measure(name)}
    for _ in range(AGAIN):
        if all(cost.held for cost in costs.values()):
            break
        time.sleep(PAUSE)
        above = {
            cost.name.removesuffix(WEIGHTED).strip() for cost in costs.values() if not cost.held
        }
        for scheduler in sorted(above):
            for cost in measure(scheduler):
                costs[cost.name] = costs[cost.name].least(cost)
    return list(costs.values())


def main() -> int:
    """Does what was asked for; 1 when a bound does not hold, or a page is not what it should be."""
    parser = argparse.ArgumentParser(prog="python3 -m bench.picks", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("name", nargs="?", default="", metavar="NAME")
    what = parser.add_mutually_exclusive_group()
    for option in ("--write", "--pages", "--check"):
        what.add_argument(option, action="store_true")
    options = parser.parse_args()
    if options.pages or options.check:
        stale = stale_pages(read_table(tables.found(tables.PICKS)))
        for path, text in stale.items():
            print(f"{path.name}: {'stale' if options.check else 'written'}")
            if options.pages:
                path.write_text(text)
        return int(bool(stale) and options.check)
    costs = measure_well(options.name)
    print(table(costs))
    if options.write:
        write(costs)
    above = [cost.name for cost in costs if not cost.held]
    if above:
        print(f"above their bounds: {', '.join(above)}")
    return 1 if above or not costs else 0


def write(costs: Sequence[Cost]) -> None:
    """Puts the table into the page of results, and the figures on the schedulers' pages."""
    setting = f"{datetime.now(UTC).date()}, {os.cpu_count()} cores, Linux {platform.release()}."
    tables.put(tables.PICKS, f"{setting}\n\n{table(costs)}")
    for path, text in stale_pages(costs).items():
        path.write_text(text)


if __name__ == "__main__":
    sys.exit(main())
