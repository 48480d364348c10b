"""A log is read in three forms, and a model made of it knows what made it."""

import gzip
import heapq
import json
import random
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from evener.cli.app import app
from evener.lab.engine import LabError
from evener.lab.logs import Entry, Log, read
from evener.lab.replay import Replay
from evener.lab.results import Result
from evener.lab.runs import run_plans

BEGIN = datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp()


def ours(at: float, took: float, server: str = "a", status: int = 200, pool: str = "app") -> str:
    said = {
        "time": datetime.fromtimestamp(BEGIN + at + took, UTC).isoformat(),
        "client.address": "192.0.2.7",
        "url.path": "/x",
        "http.response.status_code": status,
        "duration": took,
        "evener.pool": pool,
        "evener.server": server,
    }
    return json.dumps(said)


def test_our_own_log_says_when_a_request_came() -> None:
    log = read([ours(2.0, 0.5), "", "junk", ours(1.0, 0.25, "b", 503)])
    assert (log.form, log.unread) == ("Evener's JSON", 1)
    first, second = log.entries
    assert (round(first.at - BEGIN, 3), first.took, first.server, first.status) == (
        1,
        0.25,
        "b",
        503,
    )
    assert (round(second.at - BEGIN, 3), second.pool) == (2, "app")
    assert second.client == 0xC0000207


def test_haproxys_log_says_how_long_the_server_had_it() -> None:
    line = (
        "Feb  6 12:14:14 localhost haproxy[14389]: 10.0.1.2:33317 [06/Feb/2009:12:14:14.655] "
        "http-in static/srv1 10/20/30/69/139 200 2750 - - ---- 1/1/1/1/0 0/0 {1wt.eu} {} "
        '"GET /index.html HTTP/1.1"'
    )
    nobody = line.replace("static/srv1", "static/<NOSRV>").replace(
        "10/20/30/69/139", "0/-1/-1/-1/5"
    )
    log = read([line, nobody.replace(" 200 ", " 503 ")])
    assert log.form == "HAProxy's httplog"
    served = next(entry for entry in log.entries if entry.server)
    assert (served.server, served.pool, served.status) == ("srv1", "static", 200)
    assert served.took == pytest.approx(0.109), "less its request's and the queue's time"
    assert served.client == 0x0A000102
    refused = next(entry for entry in log.entries if not entry.server)
    assert (refused.took, refused.status) == (None, 503)


@pytest.mark.parametrize(
    "more", ['"10.0.0.1:80" 0.120', 'ua="10.0.0.9:80, 10.0.0.1:80" urt="0.001, 0.120"']
)
def test_a_combined_line_with_nginxs_upstream_says_who_had_it(more: str) -> None:
    line = (
        '203.0.113.9 - - [01/Mar/2026:13:00:05 +0100] "GET /a HTTP/1.1" 200 12 "-" "curl 8.1" '
        + more
    )
    [entry] = read([line]).entries
    assert (entry.server, entry.took, entry.status) == ("10.0.0.1:80", 0.12, 200)
    assert round(entry.at - BEGIN, 2) == 4.88


def test_a_combined_line_by_itself_says_neither_and_what_to_add_is_told() -> None:
    line = '203.0.113.9 - - [01/Mar/2026:12:00:05 +0000] "GET /a HTTP/1.1" 200 12 "-" "curl/8.1"'
    log = read([line] * 3)
    assert log.form == "combined"
    with pytest.raises(LabError) as caught:
        Replay(log)
    assert "$upstream_addr $upstream_response_time" in caught.value.remedy


def made(slots: int, slow: float = 1.0, servers: int = 4, rate: float = 300.0) -> Log:
    """The log of servers that work on so many at once, picked in turn; from 30 s to 60 s the
    first one is slower."""
    random.seed(7)
    log = Log("made")
    free = [[0.0] * slots for _ in range(servers)]
    at = 0.0
    for number in range(int(90 * rate)):
        at += random.expovariate(rate)
        server = number % servers
        work = random.uniform(0.6, 1.4) * slots * servers / rate * 0.7
        if server == 0 and 30 <= at < 60:
            work *= slow
        begin = max(at, heapq.heappop(free[server]))
        heapq.heappush(free[server], begin + work)
        name = f"s{server}"
        log.entries.append(Entry(at, begin + work - at, number % 50, number, "app", name, 200))
    return log


@pytest.mark.parametrize("slots", [2, 4, 16])
def test_how_many_a_server_works_on_at_once_is_found(slots: int) -> None:
    assert Replay(made(slots)).slots.number == slots


def test_times_told_to_a_millisecond_find_it_too() -> None:
    """HAProxy and nginx tell no more: of short requests of a busy server, many then end in the
    millisecond in which they could begin."""
    log = Log("HAProxy's httplog", [])
    random.seed(3)
    free = [[0.0] * 4 for _ in range(3)]
    at = 0.0
    for number in range(9_000):
        at += random.expovariate(550)
        server = number % 3
        end = max(at, heapq.heappop(free[server])) + random.expovariate(50)
        heapq.heappush(free[server], end)
        came, took = int(at * 1000) / 1000, int((end - at) * 1000) / 1000
        log.entries.append(Entry(came, took, 1, 1, None, f"s{server}", 200))
    played = Replay(log)
    assert played.slots.number == 4
    assert all(work is not None for work in played._work)


def test_servers_faster_than_a_log_can_tell_are_as_fast_as_each_other() -> None:
    """Of a server that answers in half a millisecond nginx says 0.000 or 0.001, as it comes."""
    log = Log("combined", [])
    for at in range(4_000):
        server = at % 2
        took = 0.001 if (at // 1_000 + server) % 2 or at % 5 == 0 else 0.0
        log.entries.append(Entry(at / 100, took, at, at, None, "ab"[server], 200))
    verdict = Replay(log).compare(["round_robin", "peak_ewma"])
    assert verdict.advice[0].startswith("It makes no difference")
    assert not any("slow or failing" in said for said in verdict.advice)


def test_a_log_that_tells_seconds_makes_no_crowd_of_each() -> None:
    """In the combined format all lines of a second end at once."""
    lines = [
        f'192.0.2.7 - - [01/Mar/2026:12:00:{at // 100:02} +0000] "GET /a HTTP/1.1" 200 12 "-" "x" '
        f"10.0.0.{at % 2}:80 0.010"
        for at in range(3_000)
    ]
    log = read(lines)
    gaps = [after.at - before.at for before, after in pairwise(log.entries)]
    assert max(gaps) < 0.011 and min(gaps) > 0.009
    assert log.entries[0].at == pytest.approx(BEGIN - 0.01)
    assert "no two requests met" in Replay(log).slots.why


def test_a_large_log_is_held_once_for_all_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[dict[str, Any]]] = []

    def play(plans: list[list[dict[str, Any]]], slices: int) -> list[Result]:
        seen.extend(plans)
        return run_plans(plans, slices)

    monkeypatch.setattr("evener.lab.replay.run_plans", play)
    Replay(made(2)).compare(["round_robin", "least_conn"])
    held = {id(plan["arrivals"]["recorded"]) for plans in seen for plan in plans}
    assert [len(plans) for plans in seen] == [3, 3]
    assert len(held) == 1


@pytest.mark.parametrize(
    "broken",
    [
        {"duration": float("nan")},
        {"duration": float("inf")},
        {"duration": 1e300},
        {"duration": -1.0},
        {"evener.server": ["a"]},
        {"evener.pool": {}, "evener.server": 7},
        {"time": 7},
        {"time": "0001-01-01T00:00:00"},
    ],
)
def test_a_line_of_ours_that_makes_no_sense_is_counted_and_left_out(
    broken: dict[str, object],
) -> None:
    whole = [ours(at / 10, 0.1, "ab"[at % 2]) for at in range(40)]
    line = json.dumps({**json.loads(ours(1.0, 0.1)), **broken})
    log = read([*whole, line, '{"a":' + "[" * 100_000])
    assert (len(log.entries), log.unread) == (40, 2)
    assert Replay(log).compare(["round_robin"]).results


def test_haproxys_own_services_are_no_servers() -> None:
    line = (
        "10.0.1.2:33317 [06/Feb/2009:12:14:14.655] in app/<STATS> 0/0/0/0/1 200 2750 - - LR-- "
        '1/1/0/0/0 0/0 "GET /stats HTTP/1.1"'
    )
    assert [entry.server for entry in read([line]).entries] == [None]


def test_a_pool_that_the_log_has_not_is_told_with_those_it_has() -> None:
    with pytest.raises(LabError, match="no pool `ap`") as caught:
        Replay(read([ours(at, 0.1, "ab"[at % 2]) for at in range(9)]), pool="ap")
    assert caught.value.remedy == "it has: app"


def test_a_page_of_the_proxys_own_is_no_pool_to_choose_from() -> None:
    line = (
        "10.0.1.2:33317 [06/Feb/2009:12:14:14.655] in app/s1 0/0/0/0/1 200 2750 - - LR-- "
        '1/1/0/0/0 0/0 "GET /x HTTP/1.1"'
    )
    log = read([line, line.replace("/s1", "/s2"), line.replace("app/s1", "in/<STATS>")])
    assert Replay(log).servers == ["s1", "s2"]


def test_an_empty_log_is_told_as_such() -> None:
    with pytest.raises(LabError, match="the log is empty"):
        Replay(Log())


def test_a_packed_log_is_told_as_such(tmp_path: Path) -> None:
    file = tmp_path / "access.log.1.gz"
    file.write_bytes(gzip.compress(ours(1, 0.1).encode()))
    with pytest.raises(LabError) as caught:
        Replay.load(file)
    assert "unpack it first" in caught.value.remedy


def test_a_scheduler_that_was_played_alone_is_not_recommended() -> None:
    verdict = Replay(made(2)).compare(["least_conn"])
    assert verdict.advice[0].startswith("nginx/least_conn was played alone")


def test_without_waiting_nothing_is_said_of_room() -> None:
    log = Log("made", [Entry(at / 10, 0.05, at, at, None, "ab"[at % 2], 200) for at in range(900)])
    played = Replay(log)
    assert played.slots.number is None
    assert "all that come" in played.words()[2]


def test_a_slow_server_is_seen_and_those_who_avoid_it_are_recommended() -> None:
    verdict = Replay(made(4, slow=3.0, rate=200.0)).compare(["round_robin", "least_conn"])
    robin, least = verdict.results
    assert robin.requests == 3 * 90 * 200 - robin.requests % 3
    assert least.quantile("p99").mean * 2 < robin.quantile("p99").mean  # type: ignore[operator]  # all were answered
    assert verdict.advice[0] == "Recommended: nginx/least_conn."
    assert verdict.advice[1].startswith("nginx/least_conn beside nginx/round_robin: ")
    assert any("s0 was slow or failing" in said for said in verdict.advice)


def test_long_times_are_said_in_seconds() -> None:
    log = Log("made", [Entry(at * 20, 30.5, at, at, None, "ab"[at % 2], 200) for at in range(900)])
    verdict = Replay(log).compare(["round_robin", "least_conn"])
    words = "\n".join([*verdict.log, *verdict.advice])
    assert "p50 30.5s, p99 30.5s" in words
    assert "e+0" not in words


def test_what_makes_no_difference_is_told_as_such() -> None:
    log = Log("made", [Entry(at / 10, 0.05, at, at, None, "ab"[at % 2], 200) for at in range(900)])
    verdict = Replay(log).compare(["round_robin", "least_conn"])
    assert verdict.advice[0].startswith("It makes no difference")


def test_a_server_that_failed_fails_in_the_model_too() -> None:
    entries = [
        Entry(
            at / 50, 0.05, at, at, None, "ab"[at % 2], 503 if at % 2 and 1000 <= at < 2000 else 200
        )
        for at in range(3000)
    ]
    [result] = Replay(Log("made", entries)).compare(["round_robin"]).results
    assert result.good == pytest.approx(5 / 6, abs=0.02)


def test_the_command_reads_a_log_and_ends_with_words(tmp_path: Path) -> None:
    file = tmp_path / "access.log"
    lines = [ours(at / 20, 0.2 if at % 3 else 0.02, "abc"[at % 3]) for at in range(1200)]
    file.write_text("\n".join(lines) + "\n")
    play = ["lab", "replay", str(file), "--scheduler", "round_robin,least_conn"]
    shown = CliRunner().invoke(app, play)
    assert shown.exit_code == 0, shown.output
    assert "1200 requests in 60 s to 3 servers (Evener's JSON)" in shown.stdout
    assert "nginx/least_conn" in shown.stdout
    data = json.loads(CliRunner().invoke(app, [*play, "--slots", "4", "--json"]).stdout)
    assert "as was said" in data["log"][2]
    assert data["advice"]


def test_a_log_of_several_pools_asks_which(tmp_path: Path) -> None:
    file = tmp_path / "access.log"
    lines = [ours(at, 0.1, "ab"[at % 2], pool="xy"[at % 2]) for at in range(9)]
    file.write_text("\n".join(lines))
    asked = CliRunner().invoke(app, ["lab", "replay", str(file)])
    assert asked.exit_code == 1
    assert "--pool x" in asked.stderr
    alone = CliRunner().invoke(app, ["lab", "replay", str(file), "--pool", "x"])
    assert "nothing to choose" in alone.stderr
