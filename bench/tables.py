"""The page that measured tables stand on, each between marks of its own."""

from __future__ import annotations

from pathlib import Path

from bench.stage import HERE

RESULTS = HERE / "RESULTS.md"
ROWS = ("<!-- table: written by make bench -->", "<!-- end of table -->")
"""What a unit of work costs beside nginx and HAProxy."""
PICKS = ("<!-- picks: written by python3 -m bench.picks --write -->", "<!-- end of picks -->")
"""What a pick costs."""


def put(marks: tuple[str, str], text: str, page: Path = RESULTS) -> None:
    """Replaces what stands between two marks, and nothing else of the page.

    Raises:
        ValueError: The page lacks them.
    """
    before, begin, rest = page.read_text().partition(marks[0])
    _, end, after = rest.partition(marks[1])
    if not begin or not end:
        raise ValueError(f"{page} lacks the marks {marks[0]} and {marks[1]}")
    page.write_text(f"{before}{begin}\n{text}\n{end}{after}")


def found(marks: tuple[str, str], page: Path = RESULTS) -> str:
    """What stands between two marks."""
    _, _, rest = page.read_text().partition(marks[0])
    return rest.partition(marks[1])[0]
