"""The bench reads what it measures rightly: processor time, wrk's counts, ratios and verdicts."""

import json
from pathlib import Path

import pytest

from bench import load, report
from bench.accounts import TreeChanged, processor_time, resident_kib, tree
from bench.rounds import Figure, Results, rotated
from bench.rows import ROWS, Row, chosen
from bench.stage import fill

SMALL = ROWS[0]


def process(proc: Path, pid: int, parent: int, *threads_ns: int, pss: int = 0) -> None:
    folder = proc / str(pid)
    folder.mkdir(parents=True)
    (folder / "stat").write_text(f"{pid} (a (b) c) S {parent} 1 1 0 -1\n")
    (folder / "smaps_rollup").write_text(f"Rss: 999 kB\nPss: {pss} kB\n")
    for number, spent in enumerate(threads_ns):
        thread = folder / "task" / str(pid + number)
        thread.mkdir(parents=True)
        (thread / "schedstat").write_text(f"{spent} 1 1\n")


def test_the_whole_tree_and_every_thread_count(tmp_path: Path) -> None:
    process(tmp_path, 10, 1, 5_000, 1_000, pss=100)
    process(tmp_path, 11, 10, 2_000, pss=20)
    process(tmp_path, 12, 11, 500, pss=3)
    process(tmp_path, 50, 1, 9_999, pss=999)
    assert tree(10, tmp_path) == [10, 11, 12]
    before = processor_time(10, tmp_path)
    (tmp_path / "12" / "task" / "12" / "schedstat").write_text("4500 1 1\n")
    assert processor_time(10, tmp_path).since(before) == 4.0
    assert resident_kib(10, tmp_path) == 123


def test_a_process_that_came_meanwhile_is_an_error(tmp_path: Path) -> None:
    process(tmp_path, 10, 1, 5_000)
    before = processor_time(10, tmp_path)
    process(tmp_path, 11, 10, 1)
    with pytest.raises(TreeChanged):
        processor_time(10, tmp_path).since(before)


def wrk_line(answers: int = 1000, size: int = 64, **errors: int) -> str:
    counts = {"connect": 0, "read": 0, "write": 0, "status": 0, "timeout": 0, **errors}
    told = ", ".join(f'"{name}": {count}' for name, count in counts.items())
    whole = answers * (size + 150)
    return (
        f'Running 1s test\nBENCH {{"answers": {answers}, "bytes": {whole}, "seconds": 2.0, '
        f'"p50_us": 10, "p99_us": 20, {told}}}\n'
    )


def test_clean_counts_are_taken() -> None:
    served = load.judged(wrk_line(), SMALL)
    assert (served.units, served.seconds, served.p99_us) == (1000, 2.0, 20)


@pytest.mark.parametrize(
    "text",
    [
        wrk_line(status=1),
        wrk_line(read=1),
        wrk_line(timeout=1),
        wrk_line(answers=0),
        wrk_line(size=-100),
        wrk_line(size=65536),
        "wrk: unable to connect",
    ],
)
def test_counts_with_any_fault_are_no_figure(text: str) -> None:
    with pytest.raises(load.WrongAnswer):
        load.judged(text, SMALL)


def client_line(fault: str = "", tls: str = load.SAME_TLS) -> str:
    counts = {"failed": 0, "wrong": 0, "resumed": 0}
    told = {"answers": 5, "seconds": 1, "p50_us": 1, "p99_us": 1, "tls": tls, **counts}
    return json.dumps({**told, fault: 1} if fault else told)


def test_a_clean_line_of_our_own_client_is_taken() -> None:
    assert load.judged_client(client_line()).units == 5


@pytest.mark.parametrize("fault", ["failed", "wrong", "resumed"])
def test_a_fault_of_our_own_client_is_no_figure(fault: str) -> None:
    with pytest.raises(load.WrongAnswer):
        load.judged_client(client_line(fault))


def test_handshakes_that_cannot_be_compared_are_no_figure() -> None:
    with pytest.raises(load.WrongAnswer, match="to compare"):
        load.judged_client(client_line(tls="TLSv1.3 TLS_AES_128_GCM_SHA256 X25519"))


def figures(*costs: float) -> list[Figure]:
    return [Figure(cost, 100, 1, 1) for cost in costs]


def results(row: Row = SMALL, **costs: tuple[float, ...]) -> Results:
    return Results(row, {name: figures(*each) for name, each in costs.items()})


def test_the_ratio_is_paired_and_to_the_better_rival() -> None:
    # The machine was slow in the last round for both: a ratio of medians would hide nothing of it.
    run = results(nginx=(10, 10, 20), haproxy=(12, 12, 12), evener=(8, 8, 16), relay=(7, 7, 14))
    assert report.better(run) == "nginx"
    verdict = report.judge(run)
    assert verdict.held
    assert verdict.words.startswith("held: 0.80 × nginx (bound 0.87) · 1.14 × relay")


def test_rivals_at_their_fastest_stand_beside_the_bound_and_do_not_move_it() -> None:
    run = results(SMALL, **{"nginx": (10,), "evener": (8,), "relay": (7,), "nginx-tuned": (9,)})
    words = report.judge(run).words
    assert words.startswith("held: 0.80 × nginx (bound 0.87)")
    assert words.endswith("0.89 × nginx-tuned")
    run.figures["nginx-tuned"] = figures(11)
    assert "tuned" not in report.judge(run).words


def test_tuning_is_what_the_marked_lines_say(tmp_path: Path) -> None:
    pattern = tmp_path / "some.conf"
    pattern.write_text("workers 1;  # one core\nbuffers 4;  # tuned: measured best\n")
    out = tmp_path / "out"
    out.mkdir()
    values = {"BENCH_DIR": str(out)}
    assert "buffers" in fill(pattern, values).read_text()
    assert fill(pattern, values, tuned=False).read_text() == "workers 1;  # one core\n"


def test_the_floor_bound_can_fail_a_row_that_beats_its_rivals() -> None:
    run = results(nginx=(10,), haproxy=(12,), evener=(8,), relay=(5,))
    assert report.judge(run).words.startswith("missed by 28 %")


def test_an_error_fails_the_row_whatever_its_figures_say() -> None:
    run = results(nginx=(10,), haproxy=(12,), evener=(1,), relay=(5,))
    run.errors["evener"] = "round 2: one answer was wrong"
    verdict = report.judge(run)
    assert not verdict.held
    assert verdict.excess is None


@pytest.mark.parametrize(
    ("excesses", "good"),
    [
        ([0.9, 1.0], True),
        ([1.08, 1.01, 0.5], True),
        ([1.01, 1.01, 1.01], False),
        ([1.09], False),
        ([None], False),
    ],
)
def test_two_rows_may_miss_by_eight_percent(excesses: list[float | None], good: bool) -> None:
    assert report.passed([report.Verdict(excess, "") for excess in excesses]) is good


def test_every_proxy_is_first_in_turn() -> None:
    assert [rotated(["a", "b", "c"], number)[0] for number in range(4)] == ["a", "b", "c", "a"]


def test_an_unknown_row_names_the_known_ones() -> None:
    assert [row.name for row in chosen("idle,64b-c1")] == ["64b-c1", "idle"]
    with pytest.raises(ValueError, match="64b-c64"):
        chosen("64b-c65")


def test_the_table_names_versions_and_every_row() -> None:
    text = report.table([results(nginx=(10, 11, 12))], {"nginx": "1.22.1"})
    assert "nginx 1.22.1" in text
    assert "**11.00** (10.00 – 12.00)" in text
