"""Read the bench's last table: each row's verdict, and the rule for all of them.

Issue 3, §6: at most two rows may miss, by at most 8 %. A row that misses within this rule holds,
and says by how much it missed.
Pure.
"""

from __future__ import annotations

import re

from bench.report import MAY_MISS, MISS_BY
from bench.rows import ROWS
from tests.acceptance.verdicts import UNSEEN, Result, Verdict

_TITLES = {row.title: row.name for row in ROWS}


def result(text: str, row: str) -> Result:
    """A row's verdict out of bench/RESULTS.md; without a row the rule for all of them."""
    found = _rows(text)
    if not row:
        return _all(found)
    if row not in found:
        return UNSEEN
    words = found[row]
    if words.startswith("held"):
        return Result(Verdict.HELD, words.partition(": ")[2])
    if words.startswith("not "):
        return Result(Verdict.NOT_MEASURED, words)
    return Result(Verdict.HELD if _may_miss(found, row) else Verdict.FAILED, words)


def _rows(text: str) -> dict[str, str]:
    _, _, table = text.partition("| work | verdict |")
    rows = re.findall(r"(?m)^\| ([^|]+) \| ([^|]+) \|$", table)
    return {_TITLES[title]: words for title, words in rows if title in _TITLES}


def _all(found: dict[str, str]) -> Result:
    if found.keys() != set(_TITLES.values()):
        return Result(Verdict.NOT_MEASURED, f"{len(found)} of {len(_TITLES)} rows in the table")
    missed = [row for row, words in found.items() if not words.startswith("held")]
    good = len(missed) <= MAY_MISS and all(_near(found[row]) for row in missed)
    by = ", ".join(f"{row} {_percent(found[row])}" for row in missed)
    return Result(
        Verdict.HELD if good else Verdict.FAILED,
        f"{len(found) - len(missed)} of {len(found)} rows held{f'; missed: {by}' if by else ''}",
    )


def _may_miss(found: dict[str, str], row: str) -> bool:
    missed = [words for words in found.values() if not words.startswith("held")]
    return len(missed) <= MAY_MISS and _near(found[row])


def _percent(words: str) -> str:
    percent = re.match(r"missed by (\d+ %)", words)
    return f"by {percent[1]}" if percent else f"({words})"


def _near(words: str) -> bool:
    percent = re.match(r"missed by (\d+) %", words)
    return percent is not None and 1 + int(percent[1]) / 100 <= MISS_BY
