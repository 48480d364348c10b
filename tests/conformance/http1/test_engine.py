"""Every rule of the table through the real engine: plain TCP, TLS and unix sockets, whole and byte
by byte, alone and beside 200 busy clients."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.http1 import engine
from tests.conformance.http1.engine import TRANSPORTS, Lane, Run, lane, runs, split
from tests.conformance.http1.table import rules
from tests.e2e.rig.certificates import Authority
from tests.e2e.rig.instance import Evener
from tests.e2e.rig.places import fresh_address, short_directory
from tests.e2e.rig.programs import Webs, Wrk
from tests.e2e.rig.waiting import eventually

pytestmark = pytest.mark.xdist_group("conformance")

BUSY = 200


@dataclass
class Stage:
    """One Evener with a lane per kind of socket."""

    evener: Evener
    lanes: dict[str, Lane]
    runs: list[Run]
    busy: str
    home: Path

    def logged(self, transport: str) -> list[dict[str, Any]]:
        """The lines of a lane's listeners, without tunnels: how one ended is its own affair."""
        mark = f'"evener.listener":"{transport}-'
        lines = (self.home / "access.log").read_text().splitlines()
        every = [json.loads(line) for line in lines if mark in line]
        return [line for line in every if line["http.response.status_code"] != 101]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Starts it all once."""
    authority = Authority(tmp_path_factory.mktemp("certificates"))
    every = [*runs(rules(), "request"), *runs(rules(), "answer")]
    built, _ = split(every)
    with short_directory() as home:
        evener, webs = Evener(home), Webs(home, ["busy"])
        lanes = {name: lane(name, built, home, authority) for name in TRANSPORTS}
        busy = fresh_address()
        tree: dict[str, dict[str, Any]] = {
            "listeners": {"busy": {"bind": busy, "pool": "busy"}},
            "pools": {"busy": [webs["busy"]]},
        }
        for one in lanes.values():
            for part, named in one.tree.items():
                tree[part].update(named)
        text = "".join(f"{part}: {json.dumps(named)}\n" for part, named in tree.items())
        try:
            evener.start(text, shards=1)
            yield Stage(evener, lanes, built, busy, home)
        finally:
            evener.clean_up()
            for one in lanes.values():
                one.origin.close()
            webs.process.end()


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_every_rule_holds_through_the_engine_whole_and_byte_by_byte(
    stage: Stage, transport: str
) -> None:
    one = stage.lanes[transport]
    count = sum(one.carry_out(stage.runs, bytewise) for bytewise in (False, True))
    told = sum(map(len, one.told.values()))
    eventually(lambda: len(stage.logged(transport)) >= told, 5.0, "all is logged")
    one.compare(stage.logged(transport))
    assert not one.wrong, "\n".join([f"{len(one.wrong)} wrong", *one.wrong])
    assert count == 2 * len(stage.runs)


@pytest.mark.timeout(120)
def test_every_rule_holds_beside_200_busy_clients(stage: Stage) -> None:
    """Each case once on each kind of socket: every other one byte by byte, another half on each."""
    for one in stage.lanes.values():
        one.wrong.clear()
        one.told.clear()
    stage.evener.reload(log={"access": "off"})
    wrk = Wrk(stage.home, stage.busy, 100, BUSY)
    counts: dict[str, int] = {}

    def beside(one: Lane) -> None:
        odd = TRANSPORTS.index(one.transport) % 2
        halves = ((stage.runs[odd::2], False), (stage.runs[1 - odd :: 2], True))
        counts[one.transport] = sum(one.carry_out(*half) for half in halves)

    threads = [threading.Thread(target=beside, args=(one,)) for one in stage.lanes.values()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    busy = wrk.process.alive()
    wrk.process.signal(signal.SIGINT)
    report = wrk.report()
    wrong = [line for one in stage.lanes.values() for line in one.wrong]
    assert not wrong, "\n".join([f"{len(wrong)} wrong", *wrong])
    assert counts == dict.fromkeys(TRANSPORTS, len(stage.runs))
    assert busy and report["requests"] > BUSY, report
    assert sum(report.values()) == report["requests"], report


def test_every_case_is_run() -> None:
    every = [*runs(rules(), "request"), *runs(rules(), "answer")]
    built, planned = split(every)
    assert len(built) + len(planned) == sum(
        len(case.send) for rule in rules() for case in rule.case
    )
    assert len(built) > 300
    assert [run.keys for run in planned] == []


def test_what_is_wrong_is_noticed(stage: Stage) -> None:
    """The runner can fail: it is given cases that say what is not so."""
    right = next(run for run in stage.runs if run.rule.id == "forward-bytes")
    answer = next(run for run in stage.runs if run.rule.id == "answer-equal-lengths")
    refusal = next(run for run in stage.runs if run.rule.id == "bare-lf")
    lies: list[tuple[Run, dict[str, Any]]] = [
        (right, {"forward": (right.case.forward or b"") + b"More: x\r\n"}),
        (right, {"then": "closed"}),
        (right, {"body": b"more"}),
        (answer, {"forward": b"HTTP/1.1 200 OK\r\n"}),
        (answer, {"then": "closed"}),
        (refusal, {"status": 431}),
    ]
    one = stage.lanes["tcp"]
    for run, lie in lies:
        one.wrong.clear()
        case = type(run.case)(**{**run.case.__dict__, **lie})
        one.carry_out([Run(run.rule, case, run.send)], bytewise=False)
        assert len(one.wrong) == 1, lie
    one.wrong.clear()


def test_padding_keeps_what_a_case_is_about() -> None:
    every = [run for run in runs(rules(), "request") if "max_head" in run.case.policy]
    assert every
    for run in every:
        over = len(run.send) - engine.LEAST_HEAD
        assert (over > 0) == bool(run.case.status), run
        assert abs(over) < 40
