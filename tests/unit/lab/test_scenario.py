"""A scenario is read as a configuration is, and becomes what the laboratory runs."""

import re
from pathlib import Path

import pytest

from evener.config import ConfigError
from evener.lab import LabError, Scenario, compare

DOCS = Path(__file__).parents[3] / "docs"
SMALL = "{arrivals: 100/s, servers: {time: 10ms}}"


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        Scenario.parse(text, file="s.yaml")
    return [str(problem) for problem in caught.value.problems]


def test_the_least_there_can_be_has_a_default_for_everything_else() -> None:
    plan = Scenario.parse(SMALL).plan(7)
    assert plan["seed"] == 7
    assert plan["length"] == 60_000_000
    assert plan["arrivals"] == {"poisson": {"rate": 100.0}}
    assert plan["clients"] == "fresh"
    assert plan["servers"] == [
        {"service": {"fixed": 10_000}, "room": "endless", "pace": "steady", "faults": []}
    ]
    assert plan["pool"]["scheduler"]["name"] == "nginx/round_robin"
    assert [server["id"] for server in plan["pool"]["servers"]] == ["a1"]


def test_models_become_servers_of_their_own_with_what_is_written_of_them() -> None:
    text = """
arrivals: {steps: [{from: 0s, rate: 10/s}, {from: 5s, rate: 20/s}]}
clients: {count: 50, skew: 0}
balancers: 3
network: 500us
deadline: {after: 1s, tries}
within: 200ms
length: 10s
servers:
  - {count: 2, time: {exponential: 4ms}, slots: 4, pace: {every: 100ms, slower: 3, odds: 25%}}
  - time: {normal: {mean: 5ms, deviation: 1ms}}
    cores: 2.5
    server: {weight: 3, tier: 1}
    faults: [{status: 503, from: 1s, until: 2s}, {refuses, flaps: {on: 1s, off: 2s}}, silent]
pool: {scheduler: least_conn, passive: off, retry: {attempts: 3, on: [connect, 503]}}
"""
    plan = Scenario.parse(text).plan(1)
    assert plan["arrivals"] == {"steps": [[0, 10.0], [5_000_000, 20.0]]}
    assert plan["clients"] == {"known": {"count": 50, "skew": 0.0}}
    assert (plan["balancers"], plan["network"], plan["within"]) == (3, 500, 200_000)
    assert plan["deadline"] == {"after": 1_000_000, "blames": True}
    first, second, third = plan["servers"]
    assert first == second
    assert first["room"] == {"slots": 4}
    assert first["pace"] == {"redrawn": {"every": 100_000, "slower": 3.0, "odds": 0.25}}
    assert third["room"] == {"cores": 2.5}
    fails, refuses, silent = third["faults"]
    assert fails["what"] == {"answers": {"status": 503, "after": 1_000}}
    assert (fails["from"], fails["until"]) == (1_000_000, 2_000_000)
    assert refuses["what"] == "refuses"
    assert refuses["flaps"] == {"on": 1_000_000, "off": 2_000_000}
    assert silent["what"] == "silent"
    pool = plan["pool"]
    assert [server["id"] for server in pool["servers"]] == ["a1", "a2", "b1"]
    assert [server["weight"] for server in pool["servers"]] == [1, 1, 3]
    assert [server["tier"] for server in pool["servers"]] == [0, 0, 1]
    assert pool["retry"] == {"attempts": 3, "on": ["connect", {"status": 503}]}
    assert pool["passive"] is None


def test_a_plan_of_every_key_is_one_that_the_laboratory_runs() -> None:
    text = """
arrivals: {even: 50/s}
length: 2s
servers: {count: 3, time: {log_normal: {median: 5ms}}, cores: 1, pace: {every: 1s, slower: 2}}
pool: {scheduler: least_conn, check: {http: /}}
"""
    [result] = compare(Scenario.parse(text), seeds=2)
    assert result.requests == 2 * 99
    assert result.good == 1.0


def test_every_problem_is_told_with_its_place() -> None:
    text = "arrivals: 100\nservers:\n  - {time: 20, slots: 2, cores: 2}\n  - {tyme: 1ms}\n"
    found = problems(text)
    assert [problem.split(":")[1] for problem in found] == ["1", "3", "3", "4", "4"]
    assert "write the unit: `100/s`" in found[0]
    assert "write the unit: `20ms`" in found[1]
    assert "did you mean `time`?" in " ".join(found)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ("pool: {servers: [10.0.0.1]}", "they stand in its own `servers`"),
        ("pool: {scheduler: nosuch}", "expected round_robin"),
        ("deadline: 5", "write the unit: `5ms`"),
        ("arrivals: {steps: [{from: 5s, rate: 1/s}, {from: 1s, rate: 1/s}]}", "each `from` after"),
        ("arrivals: 0/s", "a rate above 0/s"),
        ("servers: {time: 1ms, faults: {takes: 1s, from: 5s, until: 2s}}", "a time after `from`"),
        ("servers: {time: 1ms, faults: {silent, after: 1s}}", "it with `status` only"),
        ("servers: {time: 1ms, slots: 1, cores: 1}", "one of them"),
        ("servers: {time: 1ms, server: {id: a}}", "they stand in its own `servers`"),
    ],
)
def test_what_makes_no_sense_is_answered(keys: str, words: str) -> None:
    rest = [
        part
        for part in ("arrivals: 100/s", "servers: {time: 10ms}")
        if not keys.startswith(part.split(":")[0])
    ]
    assert words in " ".join(problems("\n".join([keys, *rest])))


def test_a_file_that_is_not_there_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nosuch\.yaml"):
        Scenario.load(tmp_path / "nosuch.yaml")


def test_another_scheduler_is_written_as_in_a_configuration() -> None:
    scenario = Scenario.parse(SMALL)
    for written in ("least_conn", "nginx/least_conn", "{name: least_conn}"):
        assert scenario.under(written).schedulers == ["nginx/least_conn"]
    assert scenario.schedulers == ["nginx/round_robin"]
    with pytest.raises(ConfigError, match="scheduler nosuch"):
        scenario.under("nosuch")


def test_what_cannot_run_is_an_error_of_the_laboratory() -> None:
    from evener.lab import engine

    with pytest.raises(LabError, match="cannot be read"):
        engine.run({}, 1)
    plan = {**Scenario.parse(SMALL).plan(1), "balancers": 0}
    with pytest.raises(LabError, match="at least one balancer"):
        engine.run(plan, 1)


SHOWN = [
    block
    for page in sorted(DOCS.rglob("*.md"))
    for block in re.findall(r"(?ms)^```yaml scenario\n(.*?)^```", page.read_text())
]


def test_scenarios_that_are_shown_are_right() -> None:
    assert SHOWN
    for text in SHOWN:
        Scenario.parse(text)


def test_the_python_that_the_guide_shows_runs() -> None:
    [python] = re.findall(r"(?ms)^```python\n(.*?)^```", (DOCS / "guides/lab.md").read_text())
    exec(compile(python, "lab.md", "exec"), {})


def test_a_policy_in_python_is_refused_with_what_can_be_played_instead() -> None:
    written = "{name: python, policy: 'm:M', fallback: maglev}"
    said = problems(SMALL.replace("}}", f"}}, pool: {{scheduler: {written}}}}}"))
    assert len(said) == 1 and "found the policy `m:M`" in said[0]
    assert "no Python runs" in said[0] and "`maglev` can be played" in said[0]
    with pytest.raises(ConfigError, match="the policy `m:M`"):
        Scenario.parse(SMALL).under(written)
    said = problems(SMALL.replace("}}", "}, pool: {scheduler: {name: wlc, scope: shard}}}"))
    assert len(said) == 1 and "write `balancers: N` for N shards" in said[0]


def test_a_wrong_step_beside_right_ones_is_told_with_its_place() -> None:
    steps = "[{from: 0s, rate: 9/s}, 7, {from: x, rate: 8/s}, {from: 1s, rate: 7/s}]"
    wrong = problems(f"{{arrivals: {{steps: {steps}}}, servers: [{{time: 1ms, faults: [x]}}, y]}}")
    assert [found.split("`")[1] for found in wrong] == ["7", "x", "x", "y"]


def test_an_empty_scenario_is_told_the_smallest_scenario() -> None:
    [problem] = problems("# later\n")
    assert "expected a scenario" in problem
    with pytest.raises(ConfigError) as caught:
        Scenario.parse("")
    assert "arrivals: 100/s" in caught.value.render()
    assert "listeners" not in caught.value.render()


def test_what_begins_when_all_is_over_would_never_be_seen() -> None:
    late = "{length: 2s, arrivals: 9/s, servers: {time: 1ms, faults: {takes: 2s, from: 2s}}}"
    [problem] = problems(late)
    assert "a fault that begins when all is over" in problem and "s.yaml:1:" in problem
    steps = "{length: 2s, arrivals: {steps: {from: 5s, rate: 9/s}}, servers: {time: 1ms}}"
    [problem] = problems(steps)
    assert "a step that begins when all is over" in problem
