"""What is counted under callgrind is the bench's own plan with one listener and one server."""

from bench import instructions
from tests.acceptance.names import ROOT


def test_the_plan_is_the_benchs_with_one_listener_and_one_server() -> None:
    plan = instructions._plan(ROOT, 1, 2)
    [listener], [pool] = plan["listeners"], plan["pools"]
    assert listener["bind"] == ["127.0.0.1:1"] and listener["pool"] == pool["name"]
    assert [one["address"] for one in pool["servers"]] == ["127.0.0.1:2"]


def test_two_lengths_of_a_run_tell_the_slope() -> None:
    assert instructions.MANY > instructions.FEW > 0
