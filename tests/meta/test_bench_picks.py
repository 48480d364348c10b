"""The bench reads what a pick costs, and holds each scheduler to its own bound."""

from pathlib import Path

from bench import tables
from bench.picks import PAGES, figures, read, read_table, stale_pages, table, with_figures

TEXT = """ns per pick with its report and its lease's end, 64 leases held
servers                                10 4 threads      100    10000
nginx/round_robin                      50      200       60       70
nginx/round_robin 1-9                 101      200       60       70
evener/rendezvous 1-9                  60      200       90     9000
lvs/lblc                               60      200       90     1001
"""


def test_rows_are_read_and_judged() -> None:
    costs = read(TEXT)
    assert [(cost.name, cost.held) for cost in costs] == [
        ("nginx/round_robin", True),
        ("nginx/round_robin 1-9", False),
        ("evener/rendezvous 1-9", True),
        ("lvs/lblc", False),
    ]
    assert costs[0].contended == 200


def test_a_scan_is_said_to_be_one() -> None:
    lines = table(read(TEXT)).splitlines()
    assert "a scan: each server" in lines[4]
    assert "above its bound" in lines[3]


def test_of_each_figure_the_least_counts() -> None:
    one, other = read("a/b 90 400 1 800"), read("a/b 120 300 1 700")
    assert table([one[0].least(other[0])]).endswith("| a/b | 90 ns | 300 ns | 700 ns |  |")


def test_a_table_is_read_as_it_was_written() -> None:
    assert read_table(table(read(TEXT))) == read(TEXT)


def test_a_page_has_the_figures_of_each_variant_below_its_words(tmp_path: Path) -> None:
    costs = read("x/y 90 400 1 800\nx/y 1-9 91 400 1 801\nx/y two 92 400 1 802\nx/z 1 1 1 1")
    line = figures("x/y", costs)
    assert line.startswith("**Measured** 90 ns with 10 servers and 800 ns with 10,000; ")
    assert "by weights of 1 to 9 91 and 801 ns" in line and "`two`: 92 ns" in line
    page = "# x/y\nIt picks.\n\n**Cost** some.\n\nThe picture.\n"
    written = with_figures(page, line)
    assert written == page.replace("some.", f"some.\n\n{line}")
    assert with_figures(written, line) == written
    (tmp_path / "x-y.md").write_text(page)
    assert stale_pages(costs, tmp_path) == {tmp_path / "x-y.md": written}


def test_the_pages_have_the_figures_of_the_table_and_what_misses_is_named() -> None:
    costs = read_table(tables.found(tables.PICKS))
    measured = {cost.name.partition(" ")[0].replace("/", "-") for cost in costs}
    assert {page.stem for page in PAGES.glob("*-*.md")} - measured == {"evener-python"}
    assert not stale_pages(costs), "write them: python3 -m bench.picks --pages"
    assert all(cost.many <= cost.most_many for cost in costs)
    _, _, misses = tables.RESULTS.read_text().partition("### Picks above their bound")
    missed = {cost.name.partition(" ")[0] for cost in costs if not cost.held}
    assert {name for name in missed if f"`{name}`" not in misses} == set()
