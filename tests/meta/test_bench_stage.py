"""The bench's configurations are whole: every name is defined, the plan's listeners can be cut."""

import json
from pathlib import Path

import pytest

from bench import tables
from bench.proxies import only_listeners
from bench.stage import HERE, NAME, PORTS, PROXY_PORTS, fill

DEFINED = {f"BENCH_{port}" for port in (*PORTS, *PROXY_PORTS)} | {"BENCH_DIR", "BENCH_BODY64"}
PATTERNS = ("origin.conf", "nginx.conf", "haproxy.cfg", "evener.yaml", "plan.json")


@pytest.mark.parametrize("pattern", PATTERNS)
def test_every_name_in_a_configuration_is_defined(pattern: str, tmp_path: Path) -> None:
    text = (HERE / pattern).read_text()
    assert {found.group(1) for found in NAME.finditer(text)} <= DEFINED
    values = dict.fromkeys(DEFINED, "7") | {"BENCH_DIR": str(tmp_path)}
    assert "${BENCH" not in fill(HERE / pattern, values).read_text()


def test_an_undefined_name_is_an_error(tmp_path: Path) -> None:
    pattern = tmp_path / "x.conf"
    pattern.write_text("port ${BENCH_NOBODY}")
    with pytest.raises(KeyError, match="BENCH_NOBODY"):
        fill(pattern, {"BENCH_DIR": str(tmp_path / "elsewhere")})


def test_a_plan_can_be_cut_to_the_listeners_a_row_needs() -> None:
    plan = json.loads((HERE / "plan.json").read_text())
    cut = only_listeners(plan, {"${BENCH_HTTP}"})
    assert [one["name"] for one in cut["listeners"]] == ["web"]
    assert cut["pools"] == plan["pools"]


@pytest.mark.parametrize("marks", [tables.ROWS, tables.PICKS])
def test_results_are_replaced_between_their_marks_only(
    marks: tuple[str, str], tmp_path: Path
) -> None:
    page = tmp_path / "RESULTS.md"
    page.write_text(f"before\n{marks[0]}\nold\n{marks[1]}\nafter\n")
    tables.put(marks, "new", page)
    assert page.read_text() == f"before\n{marks[0]}\nnew\n{marks[1]}\nafter\n"
    assert tables.found(marks, page).strip() == "new"
    page.write_text("no marks")
    with pytest.raises(ValueError, match="marks"):
        tables.put(marks, "new", page)
    assert tables.found(marks).count("|---") >= 1
