"""FastCGI to a real php-fpm: parameters that run it, bodies both ways, and its words in our log."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from .rig.instance import Evener
from .rig.origin import Origin, Talk
from .rig.programs import Php
from .rig.waiting import eventually
from .rig.wire import Wire, get

SCRIPTS = {
    "index.php": "<?php echo 'index of ', $_SERVER['REQUEST_URI'];",
    "server.php": "<?php header('Content-Type: application/json'); echo json_encode($_SERVER);",
    "echo.php": "<?php $b = file_get_contents('php://input');"
    " header('X-Length: ' . strlen($b)); echo strrev($b);",
    "big.php": '<?php for ($i = 0; $i < 1 << 18; $i++) printf("%015d\\n", $i);',
    "status.php": "<?php http_response_code(404); header('X-Own: yes');"
    " header('Set-Cookie: a=1', false); header('Set-Cookie: b=2', false); echo 'not here';",
    "move.php": "<?php header('Location: /elsewhere?x=1');",
    "stderr.php": "<?php error_log('a word from php'); echo 'said';",
    "head.php": "<?php header('Content-Length: 5'); echo 'hello';",
    "lasts.php": "<?php echo getmypid(), \"\\n\"; flush(); sleep(20); echo 'not to be seen';",
}


@pytest.fixture(params=["tcp", "unix"])
def php(request: pytest.FixtureRequest, home: Path) -> Iterator[Php]:
    scripts = home / "www"
    scripts.mkdir()
    for name, text in SCRIPTS.items():
        (scripts / name).write_text(text)
    (scripts / "sub").mkdir()
    (scripts / "sub" / "index.php").write_text("<?php echo 'sub index';")
    with ExitStack() as ends:
        made = Php(home, scripts, unix=request.param == "unix")
        ends.callback(made.process.end)
        yield made


def start(evener: Evener, php: Php, more: str = "") -> Evener:
    return evener.start(
        f"listeners: {{web: {{bind: '{evener.listen}', pool: php}}}}\n"
        f"pools: {{php: {{protocol: fastcgi, servers: ['{php.address}'],"
        f" params: {{DOCUMENT_ROOT: '{php.scripts}'}}, {more}}}}}\n"
    )


@pytest.mark.leaf("pools.NAME.protocol", "pools.NAME.params")
def test_php_runs_by_its_document_root_alone(evener: Evener, php: Php) -> None:
    start(evener, php)
    assert get(evener.listen, "/").body == b"index of /"
    assert get(evener.listen, "/sub/").body == b"sub index"
    asked = get(evener.listen, "/server.php?a=1&b=%20", "X-Custom: yes", "Cookie: c=d")
    assert asked.value("content-type") == "application/json"
    told = json.loads(asked.body)
    expected = {
        "REQUEST_METHOD": "GET",
        "REQUEST_URI": "/server.php?a=1&b=%20",
        "QUERY_STRING": "a=1&b=%20",
        "SCRIPT_NAME": "/server.php",
        "SCRIPT_FILENAME": f"{php.scripts}/server.php",
        "DOCUMENT_ROOT": str(php.scripts),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "SERVER_PORT": evener.listen.rpartition(":")[2],
        "HTTP_HOST": "test.example",
        "HTTP_X_CUSTOM": "yes",
        "HTTP_COOKIE": "c=d",
        "HTTP_X_FORWARDED_FOR": "127.0.0.1",
        "GATEWAY_INTERFACE": "CGI/1.1",
    }
    assert {key: told.get(key) for key in expected} == expected
    assert "HTTPS" not in told


def test_what_must_not_reach_a_program_does_not(evener: Evener, php: Php) -> None:
    """HTTP_PROXY is read as a proxy's address by many programs (CVE-2016-5385)."""
    start(evener, php)
    told = json.loads(
        get(
            evener.listen,
            "/server.php",
            "Proxy: http://evil.example",
            "X_Forwarded_For: 192.0.2.1",
            "X-Forwarded-For: 192.0.2.1",
            "X-Real-IP: 192.0.2.1",
        ).body
    )
    assert "HTTP_PROXY" not in told and "HTTP_X_REAL_IP" not in told
    assert told["HTTP_X_FORWARDED_FOR"] == "127.0.0.1"


def test_bodies_pass_both_ways(evener: Evener, php: Php) -> None:
    start(evener, php)
    with Wire(evener.listen) as wire:
        for size in (1, 1000, 70_000, 1_000_000):
            body = (b"%015d\n" * (size // 16 + 1) % tuple(range(size // 16 + 1)))[:size]
            answer = wire.ask("/echo.php", "Content-Type: text/x", method="POST", body=body)
            assert answer.status == 200 and answer.value("x-length") == str(size)
            assert answer.body == body[::-1]


def test_a_big_answer_comes_whole(evener: Evener, php: Php) -> None:
    start(evener, php)
    expected = b"".join(b"%015d\n" % at for at in range(1 << 18))
    with Wire(evener.listen) as wire:
        for _ in range(2):
            assert wire.ask("/big.php").body == expected


def test_status_and_fields_are_the_programs(evener: Evener, php: Php) -> None:
    start(evener, php)
    with Wire(evener.listen) as wire:
        answer = wire.ask("/status.php")
        assert (answer.status, answer.body) == (404, b"not here")
        assert answer.value("x-own") == "yes" and answer.all("set-cookie") == ["a=1", "b=2"]
        assert not answer.all("status")
        moved = wire.ask("/move.php")
        assert moved.status == 302 and moved.value("location") == "/elsewhere?x=1"
        head = wire.ask("/head.php", method="HEAD")
        assert head.status == 200 and head.body == b""
        assert wire.ask("/head.php").body == b"hello"


def test_its_words_on_stderr_are_in_our_log(evener: Evener, php: Php) -> None:
    start(evener, php)
    assert get(evener.listen, "/stderr.php").body == b"said"
    evener.own().until_says("a word from php")
    line = next(line for line in evener.words().splitlines() if "a word from php" in line)
    assert f"php/{php.address}" in line


def test_a_body_of_unknown_length_is_411(evener: Evener, php: Php) -> None:
    start(evener, php)
    with Wire(evener.listen) as wire:
        wire.send("POST /echo.php HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        wire.send("3\r\nabc\r\n0\r\n\r\n")
        assert wire.answer().status == 411


def test_a_chunked_body_that_is_taken_in_whole_has_a_length(evener: Evener, php: Php) -> None:
    start(evener, php, "buffer: {request: 1MiB}")
    body = b"%015d\n" * 5000 % tuple(range(5000))
    pieces = [body[at : at + 7000] for at in range(0, len(body), 7000)]
    with Wire(evener.listen) as wire:
        for _ in range(2):
            wire.send("POST /echo.php HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
            for piece in pieces:
                wire.send(b"%x\r\n%b\r\n" % (len(piece), piece))
            wire.send("0\r\n\r\n")
            answer = wire.answer()
            assert (answer.status, answer.value("x-length")) == (200, str(len(body)))
            assert answer.body == body[::-1]


def test_an_answer_of_a_program_that_dies_is_visibly_cut(evener: Evener, php: Php) -> None:
    start(evener, php, "passive: off")
    with Wire(evener.listen) as wire:
        wire.send("GET /lasts.php HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b"chunked" in wire.until(b"\r\n\r\n")
        wire.until(b"\r\n")
        os.kill(int(wire.until(b"\n")), signal.SIGKILL)
        assert wire.rest() == b"\r\n", "no last chunk"
    evener.until_counts(1, "evener_answers_cut_total")
    eventually(lambda: get(evener.listen, "/").status == 200, what="another child answers")


@pytest.mark.leaf("pools.NAME.servers[].params")
def test_parameters_of_a_server_stand_over_the_pools(evener: Evener, php: Php) -> None:
    script = php.scripts / "server.php"
    evener.start(
        f"listeners: {{web: {{bind: '{evener.listen}', pool: php}}}}\n"
        f"pools: {{php: {{protocol: fastcgi, params: {{DOCUMENT_ROOT: /nowhere, ONE: pool,"
        f" TWO: '{{method}} {{host}}'}}, servers: [{{address: '{php.address}',"
        f" params: {{SCRIPT_FILENAME: '{script}', ONE: server}}}}]}}}}\n"
    )
    told = json.loads(get(evener.listen, "/any/path").body)
    assert told["ONE"] == "server" and told["TWO"] == "GET test.example"
    assert told["SCRIPT_FILENAME"] == str(script)


def test_a_tcp_check_keeps_php_in(evener: Evener, php: Php) -> None:
    start(evener, php, "check: {tcp, every: 100ms}, initial: down")
    evener.until(f"php/{php.address}", "up")
    assert get(evener.listen, "/").status == 200
    php.process.end()
    if php.address.startswith("unix:"):
        os.unlink(php.address.removeprefix("unix:"))
    evener.until(f"php/{php.address}", "down")
    assert get(evener.listen, "/").status == 503


def test_a_responder_that_speaks_something_else_is_a_502(
    evener: Evener, origins: Callable[..., Origin]
) -> None:
    def speaks_http(talk: Talk) -> None:
        talk.some()
        talk.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        talk.until_left()

    origin = origins(speaks_http)
    evener.start(
        f"listeners: {{web: {{bind: '{evener.listen}', pool: php}}}}\n"
        f"pools: {{php: {{protocol: fastcgi, servers: ['{origin.address}'],"
        f" params: {{DOCUMENT_ROOT: /srv}}}}}}\n"
    )
    assert get(evener.listen).status == 502
    evener.until_counts(1, "evener_server_failures_total", cause="junk")
