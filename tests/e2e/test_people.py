"""What a person and a program are shown: status, servers, plan, config, metrics, logs, words."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from .rig.instance import Evener, Metrics
from .rig.origin import Origin
from .rig.places import fresh_address
from .rig.processes import output_of, program
from .rig.waiting import eventually
from .rig.wire import Wire, get


def two(evener: Evener, one: Origin, other: Origin, listener: str = "") -> str:
    return (
        f"listeners: {{web: {{bind: '{evener.listen}', pool: app, {listener}}}}}\n"
        f"pools: {{app: ['{one.address}', '{other.address}']}}\n"
    )


def test_show_status_tells_it_all_on_one_screen_problems_first(
    evener: Evener, origins: Callable[..., Origin]
) -> None:
    one, other = origins(), origins()
    evener.start(two(evener, one, other))
    other.refuse()
    for _ in range(4):
        get(evener.listen)
    evener.until(f"app/{other.address}", "ejected")
    shown = evener.tell("show", "status")
    lines = shown.splitlines()
    assert len(lines) <= 24 and max(len(line) for line in lines) <= 80, shown
    assert str(evener.file) in lines[0] and "serving plan 1" in lines[0]
    problem, listener = shown.index("is ejected"), shown.index("LISTENER")
    assert problem < listener, "problems come first"
    for word in (evener.listen, one.address, other.address, "nginx/round_robin", "▲ ejected"):
        assert word in shown, word
    assert "\x1b[" not in shown, "colour is for terminals"
    tree = evener.show("status")
    assert tree["pools"][0]["servers"][0]["requests"] == 4
    assert tree["listeners"][0]["requests"] == 4
    assert tree["worker"]["connections"] is not None


def test_show_servers_plan_and_config(evener: Evener, origins: Callable[..., Origin]) -> None:
    one, other = origins(), origins()
    evener.start(two(evener, one, other))
    rows = evener.show("servers")
    assert [row["server"] for row in rows] == [one.address, other.address]
    assert {row["state"] for row in rows} == {"up"}
    assert one.address in evener.tell("show", "servers")
    plan = evener.show("plan")
    assert plan["generation"] == 1 and plan["pools"][0]["name"] == "app"
    assert json.loads(evener.tell("show", "plan")) == plan
    resolved = evener.tell("show", "config", "--resolved")
    assert "scheduler" in resolved and one.address in resolved
    # What is shown can be run.
    evener.write_whole(resolved)
    assert evener.command("check", str(evener.file)).returncode == 0
    evener.reload()


def test_secrets_are_never_shown(
    evener: Evener, origin: Origin, home: Path, authority: object
) -> None:
    from .rig.certificates import Authority

    assert isinstance(authority, Authority)
    cert = authority.issue("a.example")
    evener.start(
        f"listeners: {{web: {{bind: '{evener.listen}', tls: '{cert}', pool: app}}}}\n"
        f"pools: {{app: ['{origin.address}']}}\n"
    )
    for words in (["plan"], ["config"], ["config", "--resolved"], ["status"]):
        assert "PRIVATE KEY" not in evener.tell("show", *words)


def test_why_tells_reason_check_and_remedy(evener: Evener, origins: Callable[..., Origin]) -> None:
    one, other = origins(), origins()
    evener.start(
        f"listeners: {{web: {{bind: '{evener.listen}', pool: app}}}}\n"
        f"pools: {{app: {{servers: ['{one.address}', '{other.address}'],"
        f" check: {{http: /health, every: 100ms}}}}}}\n"
    )
    other.refuse()
    evener.until(f"app/{other.address}", "down")
    why = evener.tell("why", f"app/{other.address}")
    assert f"app/{other.address} is down since" in why
    assert "refused" in why and "Last check" in why and "bring it back" in why
    told = json.loads(evener.tell("why", f"app/{other.address}", "--json"))
    since = why.splitlines()[0].rpartition(" (")[0]  # how long ago that is, grows meanwhile
    assert told["state"] == "down" and since and since in told["why"][0]
    assert "It takes traffic" in evener.tell("why", f"app/{one.address}")
    nobody = evener.command("why", "app/nobody", "--run", str(evener.run))
    assert nobody.returncode == 1 and one.address in nobody.stderr


def test_explain_tells_what_a_key_means(evener: Evener) -> None:
    done = evener.command("explain", "pools.app.check.every")
    assert done.returncode == 0 and "2s" in done.stdout
    typo = evener.command("explain", "pools.app.chek")
    assert typo.returncode != 0 and "check" in typo.stderr


@pytest.mark.parametrize(
    "command",
    [
        ["run"],
        ["check"],
        ["quick"],
        ["reload"],
        ["stop"],
        ["show"],
        ["why"],
        ["explain"],
        ["server"],
    ],
)
def test_help_has_an_example(evener: Evener, command: list[str]) -> None:
    done = evener.command(*command, "--help")
    assert done.returncode == 0
    if command != ["server"]:
        assert "xample" in done.stdout


def test_check_ends_ok_with_a_count(evener: Evener, origin: Origin) -> None:
    evener.write(two(evener, origin, origin).replace(f", '{origin.address}'", ""))
    done = evener.command("check", str(evener.file))
    assert (done.returncode, done.stdout) == (0, "ok: 1 listener, 1 pool, 1 server\n")


def test_an_instance_is_found_by_its_file(evener: Evener, origin: Origin) -> None:
    evener.start(two(evener, origin, origin).replace(f", '{origin.address}'", ""))
    done = evener.command("show", "status", "--config", str(evener.file))
    assert done.returncode == 0


def test_the_prometheus_page_is_right_by_its_own_parser(
    evener: Evener, origins: Callable[..., Origin]
) -> None:
    one, other = origins(), origins()
    evener.start(two(evener, one, other))
    for at in range(6):
        get(evener.listen, f"/{at}")
    evener.until_counts(6, "evener_requests_total", listener="web", pool="app", code="200")
    page = evener.metrics()
    assert page.value("evener_plan_generation") == 1
    assert page.value("evener_server_requests_total", server=one.address, code_class="2xx") == 3
    assert page.value("evener_server_state", server=one.address, state="up") == 1
    assert page.value("evener_server_state", server=one.address) == 1, "one-hot"
    assert page.value("evener_listener_connections_total", listener="web") == 6
    assert page.value("evener_shards") == 2
    for name in ("evener_request_duration_seconds", "evener_pool_response_duration_seconds"):
        assert page.value(f"{name}_count") == 6
        assert 0 < page.value(f"{name}_sum") < 6
        buckets = page.all(f"{name}_bucket")
        assert len(buckets) >= 10 and dict(max(buckets))["le"]
    assert page.value("evener_server_response_duration_seconds_count", server=one.address) == 3
    quantiles = {
        dict(labels).get("quantile")
        for labels in page.all("evener_server_response_duration_seconds")
    }
    assert quantiles == {"0.5", "0.99"}
    for direction in ("in", "out"):
        assert page.value("evener_listener_bytes_total", direction=direction) > 0
        assert page.value("evener_server_bytes_total", direction=direction) > 0, direction
    assert page.value("process_resident_memory_bytes") > 0 or page.families
    for family in page.families:
        assert family.documentation, family.name


@pytest.mark.leaf("evener.metrics.bind")
def test_the_page_is_on_its_own_address_and_moves_by_reload(evener: Evener, origin: Origin) -> None:
    first, second = fresh_address(), fresh_address()
    text = two(evener, origin, origin).replace(f", '{origin.address}'", "")
    evener.start(text, metrics={"bind": first})
    answer = eventually(lambda: _page(first), what="the page")
    assert Metrics(answer).value("evener_plan_generation") == 1
    evener.reload(text, metrics={"bind": second})
    assert Metrics(eventually(lambda: _page(second))).value("evener_plan_generation") == 2
    assert eventually(lambda: not _page(first))
    taken = evener.command("check", str(evener.file))
    assert taken.returncode == 0
    evener.write(text, metrics={"bind": origin.address})
    refused = evener.command("reload", "--run", str(evener.run))
    assert refused.returncode == 1 and origin.address in refused.stderr
    assert _page(second)
    evener.reload(text, metrics={"bind": f":{second.rpartition(':')[2]}"})
    assert eventually(lambda: Metrics(_page(second)).value("evener_plan_generation") == 3)
    evener.reload(text, metrics={"bind": second})
    assert eventually(lambda: Metrics(_page(second)).value("evener_plan_generation") == 4)


def test_strangers_at_the_page_keep_nobody_from_giving_commands(
    evener: Evener, origin: Origin
) -> None:
    page = fresh_address()
    evener.wrapper = [program("prlimit"), "--nofile=256:256"]
    text = two(evener, origin, origin).replace(f", '{origin.address}'", "")
    evener.start(text, metrics={"bind": page})
    eventually(lambda: _page(page), what="the page")
    with contextlib.ExitStack() as stack:
        for _ in range(300):
            stack.enter_context(Wire(page)).send(b"GET /metrics HTTP/1.1\r\n")
        assert _page(page)
        assert evener.command("reload", "--run", str(evener.run)).returncode == 0
    with Wire(page) as wire:
        assert wire.send(b"no HTTP\r\n\r\n").answer().status == 400
    assert _page(page)
    words = evener.words()
    assert "Too many open files" not in words and "HTTP" not in words


def _page(address: str) -> str:
    try:
        answer = get(address, "/metrics")
    except OSError:
        return ""
    assert answer.status == 200
    return answer.body.decode()


def test_access_lines_are_json_with_the_names_of_opentelemetry(
    evener: Evener, origin: Origin
) -> None:
    evener.start(two(evener, origin, origin).replace(f", '{origin.address}'", ""))
    get(evener.listen, '/a"b?q=%7F', 'User-Agent: "quoted" \\ agent', "Referer: http://r.example/")
    line = evener.until_logged(lambda line: line["http.response.status_code"] != 0)
    assert line["client.address"] == "127.0.0.1" and line["http.request.method"] == "GET"
    assert line["server.address"] == "test.example"
    assert line["evener.listener"] == "web" and line["evener.pool"] == "app"
    assert line["evener.server"] == origin.address and line["evener.tries"] == 1
    assert line["user_agent.original"] == '"quoted" \\ agent'
    assert 0 <= line["duration"] < 5
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"])


@pytest.mark.leaf("evener.log.access.format", "evener.log.access.to")
def test_access_lines_in_the_combined_form(evener: Evener, origin: Origin, home: Path) -> None:
    path = home / "combined.log"
    evener.start(
        two(evener, origin, origin).replace(f", '{origin.address}'", ""),
        log={"access": {"format": "combined", "to": str(path)}},
    )
    get(evener.listen, "/x?y=1", "Referer: http://r.example/", 'User-Agent: a"b')
    eventually(lambda: path.exists() and path.read_text(), what="a line")
    assert re.fullmatch(
        r'127\.0\.0\.1 - - \[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d \+0000\] "GET /x\?y=1 HTTP/1\.1" 200 '
        r'13 "http://r\.example/" "a\\x22b"\n',
        path.read_text(),
    ), path.read_text()


def test_a_request_that_is_refused_for_its_form_has_its_bytes_counted_and_logged(
    evener: Evener, origin: Origin
) -> None:
    evener.start(two(evener, origin, origin).replace(f", '{origin.address}'", ""))
    asked = b"GET / HTTP/1.1\r\nHost: a.example:8080\r\nTransfer-Encoding: x\r\n\r\n"
    with Wire(evener.listen) as wire:
        wire.send(asked)
        answer = wire.rest()
    line = evener.until_logged(lambda line: line["http.response.status_code"] == 501)
    assert (line["server.address"], line["server.port"]) == ("a.example", 8080)
    _, body = answer.split(b"\r\n\r\n")
    assert line["http.response.body.size"] == len(body) > 0
    evener.until_counts(len(answer), "evener_listener_bytes_total", direction="out")
    evener.until_counts(len(asked), "evener_listener_bytes_total", direction="in")


@pytest.mark.leaf("evener.log.access.sample")
def test_access_lines_can_be_off_and_sampled(evener: Evener, origin: Origin, home: Path) -> None:
    text = two(evener, origin, origin).replace(f", '{origin.address}'", "")
    path = home / "sampled.log"
    evener.start(text, log={"access": {"to": str(path), "sample": "20%"}})
    with Wire(evener.listen) as wire:
        for at in range(400):
            wire.ask(f"/{at}")
    eventually(lambda: path.read_text().count("\n") >= 30, what="some lines")
    assert path.read_text().count("\n") < 160
    evener.reload(text, log={"access": "off"})
    before = path.read_text()
    get(evener.listen, "/unseen")
    evener.reload(text, log={"access": {"to": str(path)}})
    get(evener.listen, "/seen")
    eventually(lambda: "/seen" in path.read_text())
    assert "/unseen" not in path.read_text() and path.read_text().startswith(before)


def test_usr1_opens_the_log_anew(evener: Evener, origin: Origin, home: Path) -> None:
    evener.start(two(evener, origin, origin).replace(f", '{origin.address}'", ""))
    get(evener.listen, "/old")
    evener.until_logged(lambda line: line["url.path"] == "/old")
    path = home / "access.log"
    path.rename(home / "access.log.1")
    evener.signal(signal.SIGUSR1)
    evener.own().until_says("logs reopened")
    get(evener.listen, "/new")
    line = evener.until_logged(lambda line: line["url.path"] == "/new")
    assert line and [each["url.path"] for each in evener.access()] == ["/new"]


def test_a_log_that_nobody_reads_blocks_nothing_and_losses_are_counted(
    evener: Evener, origin: Origin, home: Path
) -> None:
    fifo = home / "pipe"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    try:
        evener.start(
            two(evener, origin, origin).replace(f", '{origin.address}'", ""),
            log={"access": {"to": str(fifo)}},
        )
        filler = "/" + "x" * 4000
        lost = "evener_log_lines_lost_total"

        def loses() -> bool:
            with Wire(evener.listen) as wire:
                for _ in range(200):
                    assert wire.ask(filler).status == 200
            return evener.metrics().value(lost, log="access") > 0

        eventually(loses, 30.0, "lines are lost")
        assert "log lines could not be written" in evener.problems()
    finally:
        os.close(reader)


def test_losses_of_the_own_log_are_counted_and_shown(evener: Evener, origin: Origin) -> None:
    evener.settings["log"]["to"] = "/dev/full"
    evener.write(two(evener, origin, origin).replace(f", '{origin.address}'", ""))
    evener.launch("run", str(evener.file))
    show = ("show", "status", "--run", str(evener.run))
    eventually(lambda: evener.command(*show).returncode == 0, what="commands are answered")
    assert evener.metrics().value("evener_log_lines_lost_total", log="event") >= 1
    assert "log line could not be written" in evener.problems().replace("lines", "line")


def test_curl_is_answered(evener: Evener, origin: Origin) -> None:
    evener.start(two(evener, origin, origin).replace(f", '{origin.address}'", ""))
    host, _, port = evener.listen.rpartition(":")
    url = f"http://{host}:{port}/curl"
    assert output_of([program("curl"), "-sS", url]) == "origin /curl"
    # --http2 asks for an upgrade that is served as 1.1.
    assert output_of([program("curl"), "-sS", "--http2", url]) == "origin /curl"
    sent = output_of([program("curl"), "-sS", "-d", "a=b", "-w", "%{http_code}", url])
    assert sent == "origin /curl200"


def test_what_is_asked_wrongly_of_the_api_is_told_so_and_does_nothing(
    evener: Evener, origin: Origin
) -> None:
    evener.start(two(evener, origin, origin).replace(f", '{origin.address}'", ""))
    door, server = f"unix:{evener.run}/admin.sock", f"/v1/servers/app/{origin.address}"
    for method, path, body, status, words in (
        ("PUT", server, b"{", 400, "not JSON"),
        ("PUT", server, b"\xff", 400, "not JSON"),
        ("PUT", server, b"[" * 60_000, 400, "not JSON"),
        ("PUT", server, b"[]", 400, "not a JSON object"),
        ("PUT", server, b" " * 70_000, 413, "more than 65536 bytes"),
        ("POST", "/v1/stop", b'{"now": "false"}', 400, '{"now": true}'),
        ("POST", "/v1/stop", b'{"nwo": true}', 400, '{"now": true}'),
        ("DELETE", "/v1/status", b"", 405, "Method Not Allowed"),
        ("GET", "/v1/nothing", b"", 404, "Not Found"),
    ):
        with Wire(door) as wire:
            answer = wire.ask(path, method=method, body=body)
        assert answer.status == status, (path, body[:20], answer.body)
        told = json.loads(answer.body)
        assert words in told["error"] and told["remedy"] == "", (path, body[:20])
    assert evener.server(f"app/{origin.address}")["state"] == "up"
    assert not evener.status()["instance"]["stopping"]
