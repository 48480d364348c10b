"""What the engine calls: indexes come out, whatever a policy does."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from evener.policies import Ending, Policy, Request, Server
from evener.policies.desk import STUCK, Desk, interrupt_stuck

SEATS = [("a", "10.0.0.1:80", 1, 0), ("b", "10.0.0.2:80", 3, 0), ("c", "10.0.0.3:80", 1, 1)]
STANDINGS = [("up", 4, 0.25), ("up", 0, None), ("draining", 1, None)]
ASKED = ("GET", "h", "/x", "10.9.9.9")


def desk(tmp_path: Path, body: str) -> Desk:
    path = tmp_path / "mine.py"
    path.write_text(f"from evener.policies import Policy\nclass Mine(Policy):\n{body}\n")
    made = Desk(f"{path}:Mine")
    made.seat(SEATS)
    return made


def picked(made: Desk, headers: tuple[str | None, ...] = ()) -> int | str | None:
    return made.pick(ASKED, headers, STANDINGS, [0, 1])


def test_a_policy_sees_servers_and_request_and_its_pick_is_an_index(tmp_path: Path) -> None:
    made = desk(
        tmp_path,
        """
    headers = ["X-User", "Accept"]
    def pick(self, servers, request):
        self.seen = [(s.id, s.address, s.weight, s.tier, s.state, s.in_flight, s.latency)
                     for s in self.servers], [s.id for s in servers], request
        return servers[-1]
""",
    )
    assert (made.headers, made.hears) == (["x-user", "accept"], False)
    assert picked(made, ("ada", None)) == 1
    rows = [(*seat, *standing) for seat, standing in zip(SEATS, STANDINGS, strict=True)]
    request = Request("GET", "h", "/x", "10.9.9.9", {"x-user": "ada"})
    assert vars(made.policy)["seen"] == (rows, ["a", "b"], request)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("return None", None),
        ("return self.servers[2]", "it picked c, which may not be picked now (it is draining)"),
        ("return 1", "it picked 1, which is none of the servers it was given"),
        ("return servers", "it picked [<Server a up, 4 in flight>, <Server b up, 0 in flight>]"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt ("),
        ("return servers[9]", "IndexError: list index out of range ("),
        ("servers.clear(); return self.servers[1]", 1),
        ("import copy; return copy.copy(servers[0])", "it picked a, which may not be picked"),
    ],
)
def test_everything_else_is_told_as_what_it_is(
    tmp_path: Path, body: str, said: int | str | None
) -> None:
    answer = picked(desk(tmp_path, f"    def pick(self, servers, request): {body}"))
    if isinstance(said, str):
        assert isinstance(answer, str) and answer.startswith(said), answer
    else:
        assert answer == said


def test_servers_that_stay_are_the_same_objects_in_another_plan(tmp_path: Path) -> None:
    made = desk(tmp_path, "    def pick(self, servers, request): return servers[0]")
    before = made.policy.servers
    picked(made)
    made.seat([("b", "10.0.0.2:80", 9, 0), ("a", "10.0.0.9:80", 1, 0)])
    assert made.policy.servers[0] is before[1] and before[1].weight == 9
    assert made.policy.servers[1] is not before[0], "another address is another server"
    assert before[0].state == "down" and before[2].state == "down"
    assert made.pick(ASKED, (), [("up", 7, None), ("up", 8, None)], [1]) == 1
    assert (before[1].in_flight, made.policy.servers[1].in_flight) == (7, 8)


def test_a_policy_that_spins_is_interrupted_when_another_begins(tmp_path: Path) -> None:
    begun = threading.Event()
    answers: list[int | str | None] = []

    def spins() -> None:
        made = desk(tmp_path, "    def pick(self, servers, request):\n        while True: pass")
        begun.set()
        answers.append(picked(made))
        answers.append(picked(desk(tmp_path, "    def pick(self, s, r): return s[0]")))

    thread = threading.Thread(target=spins, daemon=True)
    thread.start()
    assert begun.wait(10)
    calm = desk(tmp_path, "    def pick(self, servers, request): return servers[0]")
    assert picked(calm) == 0
    interrupt_stuck(time.monotonic())
    assert answers == [], "nobody has waited too long yet"
    interrupt_stuck(time.monotonic() + STUCK)
    thread.join(10)
    assert not thread.is_alive()
    assert str(answers[0]).startswith("evener.policies.desk.StuckError") and answers[1:] == [0]
    assert picked(calm) == 0


def test_endings_are_told_to_who_wants_them(tmp_path: Path) -> None:
    body = """
    def pick(self, servers, request): return servers[0]
    def ended(self, server, ending):
        self.heard = server, ending
        1 / ending.seconds
"""
    made = desk(tmp_path, body)
    assert made.hears
    assert made.ended(1, 200, "", 0.5) is None
    assert vars(made.policy)["heard"] == (made.policy.servers[1], Ending(200, "", 0.5))
    assert str(made.ended(1, None, "reset", 0.0)).startswith("ZeroDivisionError")


def test_a_server_can_be_made_for_a_test_of_ones_own() -> None:
    class First(Policy):
        def pick(self, servers: list[Server], request: Request) -> Server:  # type: ignore[override]  # as people write it
            return servers[0]

    server = Server("a", "10.0.0.1:80")
    assert First().pick([server], Request()) is server
    assert (server.state, server.in_flight, server.latency) == ("up", 0, None)
