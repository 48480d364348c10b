"""A policy in Python picks in a running instance; whatever it does, traffic goes on."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from .rig.checking import CheckingClient
from .rig.instance import Evener
from .rig.origin import Origin
from .rig.waiting import eventually
from .rig.wire import Wire

PICKS = "evener_pool_policy_picks_total"
NAMES = ("a", "b", "c")
HEAD = "import os, threading, time\nfrom evener.policies import Policy\nclass P(Policy):\n"
#: The last server, whatever happens.
LAST = "    def pick(self, servers, request):\n        return servers[-1]\n"
RAISES = "    def pick(self, servers, request):\n        return 1 / 0\n"
#: Holds the interpreter while it hangs.
SPINS = "    def pick(self, servers, request):\n        while True: pass\n"
#: Lets go of it.
SLEEPS = "    def pick(self, servers, request):\n        time.sleep(1000)\n"


class Pool:
    """An instance whose pool has a policy, and its servers."""

    def __init__(self, evener: Evener, origins: Callable[..., Origin]) -> None:
        self.evener = evener
        self.origins = {name: origins(name=name) for name in NAMES}
        self.file = evener.directory / "policy.py"

    def text(self, more: str = "", protocol: str = "http", policy: str = "") -> str:
        """The configuration."""
        listed = ", ".join(
            f"{{id: {name}, address: '{origin.address}'}}" for name, origin in self.origins.items()
        )
        named = policy or f"{self.file}:P"
        return (
            f"listeners: {{web: {{bind: '{self.evener.listen}', pool: app, "
            f"protocol: {protocol}}}}}\n"
            f"pools:\n"
            f"  app:\n"
            f"    scheduler: {{name: python, policy: '{named}', fallback: round_robin{more}}}\n"
            f"    servers: [{listed}]\n"
        )

    def start(self, body: str, more: str = ", timeout: 500ms", protocol: str = "http") -> None:
        """Writes the policy, starts, and waits until it is asked."""
        self.file.write_text(HEAD + body)
        self.evener.start(self.text(more, protocol), shards=2)
        self.until("asked")

    def until(self, state: str) -> None:
        """Waits until the policy is in this state."""
        eventually(lambda: self.policy().get("state") == state, 10.0, f"the policy is {state}")

    def policy(self) -> dict[str, object]:
        """What the status tells of it; nothing while no worker serves."""
        return self.evener.status()["pools"][0]["policy"] or {}

    def answered(self, count: int, *fields: str) -> Counter[str]:
        """Who answers so many requests."""
        with Wire(self.evener.listen) as wire:
            return Counter(self.one(wire, *fields) for _ in range(count))

    def one(self, wire: Wire, *fields: str) -> str:
        """Who answers a request."""
        wire.send("\r\n".join(["GET /x HTTP/1.1", "Host: h", *fields, "", ""]))
        answer = wire.answer()
        assert answer.status == 200, answer
        return answer.body.decode().split()[0]


@pytest.fixture
def pool(evener: Evener, origins: Callable[..., Origin]) -> Pool:
    return Pool(evener, origins)


@pytest.mark.leaf("pools.NAME.scheduler.policy")
def test_a_policy_picks_by_what_it_is_shown_and_everything_tells_so(pool: Pool) -> None:
    pool.start(
        """
    headers = ["X-Want"]
    def pick(self, servers, request):
        assert request.method == "GET" and request.path == "/x" and request.host == "h"
        assert request.client == "127.0.0.1" and len(self.servers) == 3
        assert all(server.state == "up" and server.weight == 1 for server in servers)
        wanted = request.headers.get("x-want")
        return next((server for server in servers if server.id == wanted), None)
"""
    )
    assert pool.answered(4, "X-Want: b") == {"b": 4}
    assert pool.answered(6) == {"a": 2, "b": 2, "c": 2}, "it has no opinion"
    evener = pool.evener
    evener.until_counts(4, PICKS, by="policy")
    evener.until_counts(6, PICKS, by="fallback", why="declined")
    line = evener.until_logged(lambda line: line["evener.picked_by"] == "policy")
    assert (line["evener.scheduler"], line["evener.server"]) == ("evener/python", "b")
    evener.until_logged(lambda line: line["evener.picked_by"] == "fallback: declined")
    shown = " ".join(evener.tell("show", "status").split())
    assert "policy.py:P" in shown and "4 picks" in shown and "6 declined" in shown, shown
    said = evener.tell("why", "app/a")
    assert "evener/python picks by: what the policy says" in said
    assert "has 500 ms to answer, else nginx/round_robin picks" in said


def test_a_policy_sees_load_and_hears_how_tries_ended(pool: Pool, home: Path) -> None:
    heard = home / "heard"
    pool.start(
        f"""
    def pick(self, servers, request):
        return min(servers, key=lambda server: (server.in_flight, server.id))
    def ended(self, server, ending):
        with open({str(heard)!r}, "a") as file:
            print(server.id, ending.status, ending.failure or "-", server.latency, file=file)
"""
    )
    assert pool.answered(3) == {"a": 3}
    eventually(lambda: heard.exists() and len(heard.read_text().splitlines()) == 3)
    *words, latency = heard.read_text().splitlines()[-1].split()
    assert words == ["a", "200", "-"] and 0 < float(latency) < 1
    pool.origins["a"].refuse()
    assert pool.answered(1) == {"b": 1}
    eventually(lambda: "a None connect_refused" in heard.read_text())


@pytest.mark.leaf("pools.NAME.scheduler.timeout", "pools.NAME.scheduler.fallback")
@pytest.mark.parametrize("body", [SPINS, SLEEPS], ids=["spins", "sleeps"])
def test_a_policy_that_hangs_delays_five_requests_and_stops_nothing(pool: Pool, body: str) -> None:
    pool.start(body, ", timeout: 200ms")
    evener = pool.evener
    since = time.monotonic()
    with Wire(evener.listen) as wire:
        for turn in range(10):
            began = time.monotonic()
            assert pool.one(wire) == NAMES[turn % 3]
            took = time.monotonic() - began
            assert took >= 0.2 if turn < 5 else took < 0.2, (turn, took)
    evener.until_counts(5, PICKS, by="fallback", why="timeout")
    evener.until_counts(5, PICKS, by="fallback", why="open")
    assert pool.policy()["state"] == "open"
    assert "five failures in a row: no answer within 200 ms" in evener.problems()
    assert "Just now nginx/round_robin picks instead" in evener.tell("why", "app/a")
    evener.own().until_says("nginx/round_robin picks alone")
    # The worker is told things all the while, and a reload to another policy heals it.
    assert evener.status()["worker"]["connections"] is not None
    eventually(lambda: time.monotonic() - since > 1.2, what="no time-out is longer")
    pool.file.write_text(HEAD + LAST)
    evener.reload()
    pool.until("asked")
    assert pool.answered(3) == {"c": 3}
    # What spins is interrupted, so that it takes no processor; what sleeps takes none.
    left = 1 if body == SPINS else 2
    eventually(lambda: threads(evener.worker) == left, 10.0, "the policy before has ended")
    assert evener.stop() == 0


def threads(worker: int) -> int:
    """Threads of policies that a worker has."""
    names = Path(f"/proc/{worker}/task").glob("*/comm")
    return sum(name.read_text().startswith("policy-") for name in names)


def test_a_stop_does_not_wait_for_a_policy_that_hangs(pool: Pool) -> None:
    pool.start(SPINS, ", timeout: 5ms")
    pool.answered(2)
    worker = pool.evener.worker
    began = time.monotonic()
    assert pool.evener.stop() == 0
    assert time.monotonic() - began < 5
    assert "Traceback" not in pool.evener.words()
    with pytest.raises(ProcessLookupError):
        os.kill(worker, 0)


def test_a_policy_that_raises_opens_the_circuit_and_a_trial_closes_it(pool: Pool) -> None:
    broken = pool.evener.directory / "broken"
    pool.start(
        f"""
    def pick(self, servers, request):
        if os.path.exists({str(broken)!r}):
            raise SystemExit("I end it all")
        return servers[-1]
"""
    )
    broken.touch()
    assert pool.answered(9) == {"a": 3, "b": 3, "c": 3}
    evener = pool.evener
    evener.until_counts(5, PICKS, why="error")
    assert "SystemExit: I end it all" in evener.problems()
    assert f"{pool.file.name}:7" in evener.problems(), "where it was raised"
    broken.unlink()
    eventually(lambda: pool.answered(1) and pool.policy()["state"] == "asked", 10.0)
    assert pool.answered(3) == {"c": 3}
    assert "answers again" in evener.words()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("self.servers[0]", "it picked a, which may not be picked now (it is draining)"),
        ("'a'", "it picked 'a', which is none of the servers"),
        ("servers", "which is none of the servers"),
    ],
)
def test_nonsense_and_servers_that_are_out_are_no_picks(pool: Pool, answer: str, said: str) -> None:
    pool.start(f"    def pick(self, servers, request):\n        return {answer}\n")
    pool.evener.tell("server", "drain", "app/a")
    assert pool.answered(4) == {"b": 2, "c": 2}
    pool.evener.until_counts(4, PICKS, why="error")
    assert said in str(pool.policy()["trouble"])


def test_a_reload_takes_up_an_edited_policy_and_keeps_one_that_is_not(pool: Pool) -> None:
    pool.start(
        """
    turn = 0
    def pick(self, servers, request):
        self.turn += 1
        return servers[0] if self.turn <= 2 else servers[-1]
"""
    )
    assert pool.answered(1) == {"a": 1}
    pool.evener.reload(pool.text(", timeout: 400ms"))
    assert pool.answered(3) == {"a": 1, "c": 2}, "it goes on where it was"
    pool.file.write_text(
        HEAD + "    def pick(self, servers, request):\n        return servers[1]\n"
    )
    pool.evener.reload()
    pool.until("asked")
    assert pool.answered(3) == {"b": 3}
    pool.evener.reload(pool.text().replace("{name: python", "first #"))
    assert pool.evener.status()["pools"][0]["policy"] is None
    assert pool.answered(2) == {"a": 2}


def test_a_policy_that_cannot_be_used_is_told_with_its_place_and_the_old_one_serves(
    pool: Pool,
) -> None:
    pool.start(LAST)
    evener = pool.evener
    pool.file.write_text(HEAD + "    def pick(self, servers):\n        return servers[0]\n")
    for command in (["check", str(evener.file)], ["reload", "--run", str(evener.run)]):
        done = evener.command(*command)
        assert done.returncode in (1, 2), done
        assert "evener.yaml:5:" in done.stderr and "`P.pick`" in done.stderr, done.stderr
        assert "pick(self, servers, request)" in done.stderr
    assert pool.answered(2) == {"c": 2}
    evener.write(pool.text(policy="no.such.module:P"))
    done = evener.command("check", str(evener.file))
    assert done.returncode == 2 and "no.such.module" in done.stderr, done.stderr
    assert "pools.app.scheduler.policy" in done.stderr and "/path/file.py:Class" in done.stderr


def test_another_worker_loads_it_anew_and_serves_even_if_its_file_is_gone(pool: Pool) -> None:
    pool.start(LAST)
    evener = pool.evener
    with CheckingClient(evener.listen, connections=2) as client:
        os.kill(evener.worker, signal.SIGKILL)
        eventually(lambda: evener.status()["worker"]["deaths"] == 1)
        pool.until("asked")
        pool.file.unlink()
        os.kill(evener.worker, signal.SIGKILL)
        eventually(lambda: evener.status()["worker"]["deaths"] == 2)
        pool.until("ended")
        account = client.stop()
    assert set(account.anomalies) <= {"IncompleteReadError", "ConnectionResetError"}
    assert pool.answered(3) == {"a": 1, "b": 1, "c": 1}
    assert "cannot be read" in evener.problems()
    assert pool.policy()["trouble"]


def test_a_session_has_its_server_from_a_policy(pool: Pool) -> None:
    pool.start(
        """
    def pick(self, servers, request):
        assert (request.method, request.client, dict(request.headers)) == ("", "127.0.0.1", {})
        return servers[-1]
""",
        protocol="tcp",
    )
    assert [pool.answered(1) for _ in range(3)] == [{"c": 1}] * 3
    line = pool.evener.until_logged(lambda line: line["evener.server"] == "c")
    assert line["evener.picked_by"] == "policy"


def test_under_load_every_request_has_its_answer_while_policies_come_and_go(pool: Pool) -> None:
    pool.start(LAST)
    with CheckingClient(pool.evener.listen, connections=8) as client:
        for body in (SLEEPS, LAST, RAISES, SPINS, LAST):
            pool.file.write_text(HEAD + body)
            pool.evener.reload(pool.text(", timeout: 20ms"))
            before = client.account.answered
            eventually(lambda seen=before: client.account.answered > seen + 200, 20.0)
        account = client.stop()
    assert account.anomalies == {}
