"""The acceptance page is whole: its clauses are told apart, and what they name exists."""

import re
import textwrap
from pathlib import Path

import pytest

from bench.rows import ROWS
from tests import accept
from tests.acceptance import bench_page, page, runs, verdicts
from tests.acceptance.names import ROOT, exists
from tests.acceptance.page import Clause, PageError, Proof
from tests.acceptance.verdicts import Result, Verdict

HELD, FAILED, UNSEEN = Verdict.HELD, Verdict.FAILED, Verdict.NOT_MEASURED


def test_every_section_of_the_issue_has_clauses() -> None:
    numbers = [str(number) for number in range(1, 11)]
    assert [section.number for section in page.sections()] == numbers
    assert all(section.clauses for section in page.sections())


def test_no_id_is_used_twice_and_each_begins_with_its_section() -> None:
    for section in page.sections():
        ids = [clause.id for clause in section.clauses]
        assert sorted(ids) == sorted(set(ids))
        assert {clause.section for clause in section.clauses} == {section.number}


def test_what_a_clause_names_exists() -> None:
    missing = [
        f"{clause.id}: {proof}"
        for clause in page.clauses()
        for proof in clause.proofs
        if not exists(proof)
    ]
    assert missing == []


@pytest.mark.parametrize(
    "proof",
    [
        Proof("tests/meta/test_acceptance.py", "test_nobody_wrote"),
        Proof("tests/meta/test_nowhere.py", ""),
        Proof("evener-engine", "nobody_wrote_this_test"),
        Proof("evener-nowhere", "any"),
        Proof("bench", "no-such-row"),
    ],
    ids=str,
)
def test_what_does_not_exist_is_seen(proof: Proof) -> None:
    assert not exists(proof)


def test_a_page_is_read() -> None:
    text = textwrap.dedent(
        """
        ## 3. Processes
        | id | promise | proof |
        |---|---|---|
        | 3.x | It does x | `tests/a.py::test_x` `evener-engine y` |
        | 3.z | It does z | `bench idle` |
        """
    )
    [section] = page.sections(text)
    first, second = section.clauses
    assert (first.id, first.promise) == ("3.x", "It does x")
    assert first.proofs == (Proof("tests/a.py", "test_x"), Proof("evener-engine", "y"))
    assert second.proofs == (Proof("bench", "idle"),)


@pytest.mark.parametrize(
    "row", ["| 3.x | no proof | |", "| x | y | `z` |", "| 3.x | y | `a b c` |"]
)
def test_a_row_that_cannot_be_read_is_an_error(row: str) -> None:
    with pytest.raises(PageError):
        page.sections(f"## 3. Title\n{row}\n")


def test_a_clause_fails_with_any_of_its_proofs_and_holds_with_all() -> None:
    one, two = Proof("tests/a.py", "one"), Proof("tests/a.py", "two")
    clause = Clause("3.x", "x", (one, two))
    good, bad = Result(HELD, "1 ms", 1), Result(FAILED, "two: failure", 1)
    assert verdicts.of_clause(clause, {one: good, two: good}) == Result(HELD, "1 ms", 2)
    assert verdicts.of_clause(clause, {one: good, two: bad}).verdict is FAILED
    assert verdicts.of_clause(clause, {one: good, two: bad}).figure == "two: failure"
    assert verdicts.of_clause(clause, {one: good}).verdict is UNSEEN
    assert verdicts.of_clause(clause, {two: bad}).verdict is FAILED


JUNIT = """<testsuites><testsuite name="pytest">
<testcase classname="tests.a" file="tests/a.py" name="test_x[1]" time="0.5">
<properties><property name="figure" value="12 ms"/></properties></testcase>
<testcase classname="tests.a" file="tests/a.py" name="test_x[2]" time="0.5">
<failure message="no">no</failure></testcase>
<testcase classname="tests.a.TestC" file="tests/a.py" name="test_y" time="1.0"/>
</testsuite></testsuites>"""


def test_a_pytest_report_gives_nodes_figures_and_failures() -> None:
    assert runs.junit(JUNIT) == [
        ("tests/a.py::test_x", Result(HELD, "12 ms", 1, 0.5)),
        ("tests/a.py::test_x", Result(FAILED, "test_x[2]: failure", 1, 0.5)),
        ("tests/a.py::TestC::test_y", Result(HELD, "", 1, 1.0)),
    ]
    assert runs.junit("") == []


CARGO = """
running 3 tests
test control::tests::first ... ok
test second ... FAILED

successes:

---- control::tests::first stdout ----
words before
figure: 7 ms

failures:

---- second stdout ----
figure: never shown
"""


def test_a_cargo_report_gives_names_figures_and_failures() -> None:
    first, second, third = (Proof("evener-x", name) for name in ("first", "second", "third"))
    found = runs.of_cargo(CARGO, [first, second, third])
    assert found[first] == Result(HELD, "7 ms", 1)
    assert found[second] == Result(FAILED, "second failed", 1)
    assert found[third].verdict is UNSEEN


TABLE = """| work | verdict |
|---|---|
| 64 bytes, c = 64 | held: 0.80 × nginx (bound 0.87) |
| 64 bytes, c = 1 | missed by 7 %: 1.07 × nginx (bound 1.00) |
| 64 KiB, c = 64 | missed by 30 %: 1.3 × nginx (bound 0.95) |
| TCP, one stream | failed: evener: wrong body |
"""


def test_a_bench_row_holds_or_misses_within_the_rule() -> None:
    two = "\n".join(TABLE.splitlines()[:4])
    assert bench_page.result(two, "64b-c64") == Result(HELD, "0.80 × nginx (bound 0.87)")
    assert bench_page.result(two, "64b-c1").verdict is HELD
    assert bench_page.result(two, "64k-c64").verdict is UNSEEN
    assert bench_page.result(TABLE, "64b-c1").verdict is FAILED  # three rows missed
    assert bench_page.result(TABLE, "64k-c64").verdict is FAILED
    assert bench_page.result(TABLE, "tcp-gib").verdict is FAILED
    assert bench_page.result(TABLE, "").verdict is UNSEEN


def test_the_rule_for_all_bench_rows_names_those_that_miss() -> None:
    known = dict(re.findall(r"(?m)^\| ([^|]+) \| ([^|]+) \|$", TABLE))
    rows = {row.title: known.get(row.title, "held: 0.5 × nginx (bound 0.9)") for row in ROWS}
    table = TABLE.splitlines()[:2] + [f"| {title} | {words} |" for title, words in rows.items()]
    told = bench_page.result("\n".join(table), "")
    assert told.verdict is FAILED
    assert told.figure == (
        f"{len(ROWS) - 3} of {len(ROWS)} rows held; missed: 64b-c1 by 7 %, 64k-c64 by 30 %, "
        "tcp-gib (failed: evener: wrong body)"
    )


def test_every_row_of_the_table_as_it_stands_is_read() -> None:
    text = (ROOT / "bench" / "RESULTS.md").read_text()
    for row in ROWS:
        assert bench_page.result(text, row.name) != verdicts.UNSEEN, row.name
    assert f"of {len(ROWS)} rows held" in bench_page.result(text, "").figure


def test_the_report_has_a_line_per_clause_and_the_sum() -> None:
    section = page.sections("## 3. Title\n| 3.x | y | `bench` |\n| 3.y | y | `bench` |\n")[0]
    results = [Result(HELD, "12 ms"), Result(UNSEEN)]
    told = accept.report([(section, list(zip(section.clauses, results, strict=True)))])
    assert [line.split() for line in told.splitlines()] == [
        [],
        ["3.", "Title"],
        ["3.x", "held", "12", "ms"],
        ["3.y", "not", "measured"],
        [],
        ["1", "of", "2", "clauses", "hold,", "1", "not", "measured"],
    ]


def test_sections_and_clauses_can_be_chosen() -> None:
    every = page.sections()
    [third] = accept.chosen(every, ["3"])
    assert third == every[2]
    assert [s.clauses for s in accept.chosen(every, ["3.respawn"])] == [
        tuple(clause for clause in every[2].clauses if clause.id == "3.respawn")
    ]
    assert len(accept.chosen(every, [])) == len(every)


def test_the_command_of_the_makefile_is_this_one() -> None:
    makefile = (Path(page.__file__).parents[2] / "Makefile").read_text()
    assert "python -m tests.accept" in makefile
