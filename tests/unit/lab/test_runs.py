"""Runs give the same figures for the same seeds, and tables say them."""

import json
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from evener.cli.app import app
from evener.lab import LabError, Scenario, compare, plot, quality, tables

SLOW = """
about: one of four is slow
length: 12s
arrivals: 400/s
within: 200ms
servers:
  - {time: 10ms, faults: {takes: 1s, from: 3s, until: 9s}}
  - {count: 3, time: 10ms}
"""


def test_equal_seeds_give_equal_results_and_schedulers_differ() -> None:
    scenario = Scenario.parse(SLOW)
    first, second = (compare(scenario, ["round_robin", "least_conn"], seeds=2) for _ in range(2))
    assert [one.as_json() for one in first] == [one.as_json() for one in second]
    robin, least = first
    assert [one.scheduler for one in first] == ["nginx/round_robin", "nginx/least_conn"]
    assert 0.85 < robin.good < 0.9, "a quarter of half the time"
    assert least.good > 0.97
    assert robin.runs[0] != robin.runs[1], "seeds differ"
    assert robin.shares["a1"] == pytest.approx(0.25, abs=0.001)
    assert least.shares["a1"] < 0.2
    assert least.evenness > 1.05


def test_a_table_has_a_line_per_scheduler_and_says_what_was_never_reached() -> None:
    head, robin, least = tables.results(
        compare(Scenario.parse(SLOW), ["round_robin", "least_conn"], seeds=1)
    ).splitlines()
    assert head.split() == ["SCHEDULER", "GOOD", "MEAN", "P50", "P99", "P99.9", "BUSIEST"]
    assert robin.split()[0] == "nginx/round_robin"
    assert robin.split()[3:5] == ["10ms", "1s"]
    failing = SLOW.replace("takes: 1s", "status: 503")
    assert "never" in tables.results(compare(Scenario.parse(failing), seeds=1))
    assert least.split()[1].endswith("%")


def test_the_command_prints_a_table_json_and_a_plot(tmp_path: Path) -> None:
    file = tmp_path / "slow.yaml"
    file.write_text(SLOW)
    run = ["lab", "run", str(file), "--seeds", "1", "--scheduler", "round_robin,least_conn"]
    shown = CliRunner().invoke(app, run)
    assert shown.exit_code == 0, shown.output
    assert "one of four is slow" in shown.stderr
    assert len(shown.stdout.splitlines()) == 3
    data = json.loads(CliRunner().invoke(app, [*run, "--json"]).stdout)
    assert [one["scheduler"] for one in data] == ["nginx/round_robin", "nginx/least_conn"]
    assert data[0]["p50"] == {"mean": 10.0, "least": 10.0, "most": 10.0}
    for name, begins in (("a.svg", b"<?xml"), ("a.png", b"\x89PNG")):
        picture = tmp_path / name
        drawn = CliRunner().invoke(app, [*run, "--plot", str(picture)])
        assert drawn.exit_code == 0, drawn.output
        assert picture.read_bytes().startswith(begins)
    odd = CliRunner().invoke(app, [*run, "--plot", str(tmp_path / "a.nosuch")])
    assert odd.exit_code == 1
    assert "cannot be written" in odd.stderr
    nowhere = CliRunner().invoke(app, [*run, "--plot", str(tmp_path / "no" / "a.svg")])
    assert nowhere.stderr.endswith("no/a.svg cannot be written: No such file or directory\n")


def test_without_a_seed_nothing_is_compared() -> None:
    scenario = Scenario({"arrivals": "1/s", "servers": {"count": 1, "time": "1ms"}})
    with pytest.raises(LabError, match="at least one is needed"):
        compare(scenario, seeds=0)


def test_the_busiest_servers_share_is_that_of_its_weight() -> None:
    servers = [
        {"time": "1ms", "server": {"weight": 3}},
        {"time": "1ms"},
        {"time": "1ms", "server": {"tier": 1}},
        {"time": "1ms", "server": {"admin": "drain"}},
    ]
    scenario = Scenario({"length": "10s", "arrivals": {"even": "100/s"}, "servers": servers})
    weighted, unweighted = compare(scenario, ["round_robin", "rr"], seeds=1)
    assert weighted.evenness == pytest.approx(1, abs=0.01)
    assert unweighted.evenness == pytest.approx(2, abs=0.01)


def test_a_plot_that_cannot_be_written_does_not_cost_the_figures(tmp_path: Path) -> None:
    file = tmp_path / "slow.yaml"
    file.write_text(SLOW)
    run = ["lab", "run", str(file), "--seeds", "1", "--plot", str(tmp_path / "none" / "a.svg")]
    for more, first in (([], "SCHEDULER"), (["--json"], "[")):
        ended = CliRunner().invoke(app, [*run, *more])
        assert ended.exit_code == 1
        assert ended.stdout.startswith(first)


def test_ctrl_c_gives_up_the_runs_that_have_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = []

    def run(_: object, __: int) -> dict[str, object]:
        begun.append(1)
        if len(begun) == 1:
            raise KeyboardInterrupt
        time.sleep(0.1)
        return {}

    monkeypatch.setattr("evener.lab.engine.run", run)
    with pytest.raises(KeyboardInterrupt):
        compare(Scenario.parse(SLOW), seeds=500)
    assert len(begun) < 250


def test_without_matplotlib_the_command_that_brings_it_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    with pytest.raises(plot.NoPlotError) as caught:
        plot.plot([], tmp_path / "a.svg", "")
    assert caught.value.remedy == "pip install 'evener[lab]'"


def test_a_scenario_that_is_wrong_ends_with_2_and_its_places(tmp_path: Path) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text("arrivals: 100\n")
    ended = CliRunner().invoke(app, ["lab", "run", str(file)])
    assert ended.exit_code == 2
    assert f"{file}:1:11" in ended.stderr


def test_the_command_makes_the_table_of_a_study_and_knows_the_others() -> None:
    shown = CliRunner().invoke(app, ["lab", "compare", "bounded"])
    assert shown.exit_code == 0, shown.output
    assert "greatest load, ε = 25 %" in shown.stdout
    data = json.loads(CliRunner().invoke(app, ["lab", "compare", "bounded", "--json"]).stdout)
    assert [len(row["found"]) for row in data[0]["rows"]] == [5, 5, 5, 5]
    wrong = CliRunner().invoke(app, ["lab", "compare", "nosuch"])
    assert wrong.exit_code == 1
    assert "supermarket" in wrong.stderr


def test_a_bound_that_is_left_ends_with_1(monkeypatch: pytest.MonkeyPatch) -> None:
    row = {"what": "x", "unit": "ms", "must": {"at_most": 1.0}, "found": [0.5, 1.5]}
    study = {"name": "n", "title": "t", "model": "m", "source": "s", "rows": [row]}
    monkeypatch.setattr(quality, "studies", lambda _: [study])
    ended = CliRunner().invoke(app, ["lab", "compare"])
    assert ended.exit_code == 1
    assert "out of bounds: x" in ended.stderr
    assert "LEFT" in ended.stdout


@pytest.mark.parametrize(
    ("must", "found", "holds"),
    [
        ({"published": [10.0, 0.1]}, [10.5, 11.4], True),
        ({"published": [10.0, 0.1]}, [11.5, 11.4], False),
        ({"at_least": 5.0}, [5.0, 6.0], True),
        ({"at_least": 5.0}, [4.9, 6.0], False),
        ({"at_most": 5.0}, [5.1, 1.0], False),
    ],
)
def test_published_figures_are_met_by_the_mean_and_bounds_by_each(
    must: dict[str, object], found: list[float], holds: bool
) -> None:
    assert tables.holds({"must": must, "found": found}) is holds
