"""What the status tells, and in which order."""

import json
from dataclasses import replace
from typing import Any

from evener.admin.status import NAMED, Scene, status
from evener.control.keeper import Record
from evener.control.serving import Reload
from evener.telemetry.window import Window

NOW = 1_700_000_000_000


def facts(server: str, state: str = "up", reason: str = "") -> dict[str, Any]:
    return {
        "pool": "app",
        "server": server,
        "address": server,
        "state": state,
        "reason": reason,
        "changed": NOW - 5000,
        "weight": 1,
        "in_flight": 0,
        "check": None,
    }


def scene(
    *servers: dict[str, Any], totals: Any = None, before: Any = None, limit: int | None = None
) -> Scene:
    window = Window()
    if before is not None:
        window.take(0.0, json.dumps(before))
    pool = {
        "name": "app",
        "scheduler": {"name": "nginx/round_robin"},
        "servers": [{"id": each["server"]} for each in servers],
    }
    listener: dict[str, Any] = {"name": "web", "protocol": "http", "tls": None}
    listener |= {"bind": ["127.0.0.1:0"], "connections": limit}
    return Scene(
        now=NOW,
        instance={},
        plan={"generation": 3, "connections": 1000, "listeners": [listener], "pools": [pool]},
        bound={"127.0.0.1:0": "127.0.0.1:4711"},
        queued={"127.0.0.1:0": 7},
        servers={(each["pool"], each["server"]): each for each in servers},
        worker={"connections": 1, "in_flight": 0, "parked": 0, "draining": False, "uptime_ms": 9},
        record=Record(),
        last=Reload(NOW - 1000, "reload", {}),
        failed=None,
        unresolved={},
        certificates={},
        view=window.view(10.0, json.dumps(totals or {})),
    )


def said(scene: Scene) -> list[str]:
    return [f"{each['level']}: {each['text']}" for each in status(scene)["problems"]]


def test_a_certificate_is_a_problem_before_it_ends() -> None:
    day = 86_400
    ends = {"/a.pem": 3 * day, "/b.pem": 14 * day, "/c.pem": -1, "/d.pem": 14 * day - 1}
    certificates = {file: NOW / 1000 + left for file, left in ends.items()}
    assert said(replace(scene(), certificates=certificates)) == [
        "error: the certificate /c.pem has ended",
        "error: pool app has no servers",
        "warning: the certificate /a.pem ends in 3 d",
        "warning: the certificate /d.pem ends in 14 d",
    ]


def test_a_full_listener_is_a_problem_with_those_who_wait() -> None:
    open_ = {"evener_listener_open_connections": 3}
    totals = {"listener": [{"names": ["web"], "values": open_, "histograms": {}}]}
    assert said(scene(facts("a"), limit=4, totals=totals)) == []
    full = scene(facts("a"), limit=3, totals=totals)
    text = "at its limit of 3 connections, 7 wait in the kernel's queue"
    assert said(full) == [f"warning: listener web: {text}"]
    listener = status(full)["listeners"][0]
    assert [listener[key] for key in ("connections", "limit", "waiting")] == [3, 3, 7]


def test_a_full_worker_is_a_problem_with_those_who_wait() -> None:
    full = scene(facts("a"))
    full = replace(full, worker={**full.worker, "connections": 1000}, queued={"127.0.0.1:0": 1})
    text = "at its limit of 1000 connections, 1 waits in the kernel's queue"
    assert said(full) == [f"warning: the worker: {text}"]


def test_all_well_has_no_problems() -> None:
    assert said(scene(facts("a"), facts("b"))) == []


def test_servers_that_are_out_are_named_with_their_reason() -> None:
    found = said(
        scene(
            facts("a"),
            facts("b", "down", "connection refused"),
            facts("c", "draining", "a person said so"),
            facts("d", "ejected", "answered nothing within 60 s"),
        )
    )
    assert found == [
        "warning: app/b is down: connection refused",
        "warning: app/d is ejected: answered nothing within 60 s",
        "note: app/c is draining: a person said so",
    ]


def test_a_pool_whose_servers_are_all_of_weight_0_or_out_serves_nobody() -> None:
    nobody = "error: pool app: none of its servers takes traffic"
    assert said(scene({**facts("a"), "weight": 0}, {**facts("b"), "weight": 0})) == [nobody]
    assert said(scene({**facts("a"), "weight": 0}, facts("b", "starting"))) == [nobody]
    assert said(scene({**facts("a"), "weight": 0}, facts("b"))) == []


def test_the_worst_comes_first() -> None:
    every = replace(
        scene(facts("a", "down", "refused")),
        failed=Reload(NOW, "reload", {}, ("evener.yaml:3:1: found x",)),
        unresolved={"web1": "Name or service not known"},
        record=Record(deaths=2, last_death="was ended by SIGKILL", last_death_at=NOW),
    )
    assert said(every) == [
        "error: file and served plan differ: the last reload failed: evener.yaml:3:1: found x",
        "error: pool app: none of its servers takes traffic",
        "warning: the worker was replaced 2 times; the last one was ended by SIGKILL",
        "warning: web1 does not resolve: Name or service not known",
        "warning: app/a is down: refused",
    ]
    assert status(every)["plan"]["differs_from_file"]


def test_a_missing_worker_and_a_plan_that_was_taken_back_are_errors() -> None:
    lost = replace(
        scene(facts("a")),
        worker={},
        record=Record(5, "was ended by SIGSEGV", NOW, "plan 4 killed two workers", paused=2.0),
    )
    assert said(lost) == [
        "error: no worker is serving: the last one was ended by SIGSEGV; "
        "the next one starts in 2 s",
        "error: file and served plan differ: plan 4 killed two workers",
    ]


def test_many_servers_out_are_counted() -> None:
    servers = [facts("up")] + [facts(f"s{number}", "down") for number in range(NAMED + 5)]
    assert said(scene(*servers))[-1] == "warning: 5 more servers out"
    assert len(said(scene(*servers))) == NAMED + 1


def test_losses_are_a_warning_while_they_grow_and_a_note_after() -> None:
    metric = 'evener_log_lines_lost_total{log="access"}'
    lost = {"worker": [{"names": [], "values": {metric: 7}, "histograms": {}}]}
    none: dict[str, Any] = {"worker": []}
    assert said(scene(facts("a"), totals=lost, before=none)) == [
        "warning: 7 log lines could not be written and are lost"
    ]
    assert said(scene(facts("a"), totals=lost, before=lost)) == [
        "note: 7 log lines could not be written and are lost"
    ]


def test_listeners_and_servers_have_their_numbers() -> None:
    def totals(requests: int) -> dict[str, Any]:
        return {
            "listener": [
                {
                    "names": ["web"],
                    "values": {
                        "evener_listener_open_connections": 12,
                        "evener_listener_requests_total": 2 * requests,
                        'evener_listener_errors_total{cause="reset"}': 2,
                    },
                    "histograms": {},
                }
            ],
            "server": [
                {
                    "names": ["app", "a", "a"],
                    "values": {
                        'evener_server_requests_total{code_class="2xx"}': requests,
                        'evener_server_failures_total{cause="reset"}': 1,
                        'evener_server_connect_failures_total{cause="refused"}': 2,
                    },
                    "histograms": {},
                }
            ],
        }

    tree = status(scene(facts("a"), totals=totals(150), before=totals(50)))
    (listener,) = tree["listeners"]
    assert listener["bind"] == ["127.0.0.1:4711"]
    assert (listener["connections"], listener["requests"], listener["errors"]) == (12, 300, 2)
    assert listener["requests_per_second"] == 20.0
    (server,) = tree["pools"][0]["servers"]
    assert (server["requests"], server["requests_per_second"], server["errors"]) == (150, 10.0, 3)
    assert server["p50_ms"] is None


def test_a_policy_has_its_picks_and_is_a_problem_while_it_is_not_asked() -> None:
    name = "evener_pool_policy_picks_total"
    series = {'{by="policy",why=""}': 7, '{by="fallback",why="timeout"}': 5}
    series |= {'{by="fallback",why="open"}': 2, '{by="trial",why=""}': 1}
    values = {name + labels: count for labels, count in series.items()}
    totals = {"pool": [{"names": ["app"], "values": values, "histograms": {}}]}
    told = {"pool": "app", "policy": "p:P", "fallback": "nginx/least_conn", "trouble": "late"}
    one = scene(facts("a"), totals=totals)
    one = replace(one, worker={**one.worker, "policies": [{**told, "state": "open"}]})
    assert status(one)["pools"][0]["policy"] == {
        "policy": "p:P",
        "fallback": "nginx/least_conn",
        "state": "open",
        "trouble": "late",
        "picked": 7,
        "trials": 1,
        "fallback_picked": {"open": 2, "timeout": 5},
    }
    assert said(one) == [
        "warning: pool app: nginx/least_conn picks instead of policy p:P, five failures in a row: "
        "late"
    ]
    asked = replace(one, worker={**one.worker, "policies": [{**told, "state": "asked"}]})
    assert said(asked) == [] and status(scene(facts("a")))["pools"][0]["policy"] is None
