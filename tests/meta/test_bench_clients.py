"""The bench's clients see a wrong answer: a bench that can't is faster than any proxy deserves."""

import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from bench.load import Served, Witness, WrongAnswer, judged_client
from bench.machine import alive, start
from bench.rows import ROWS
from bench.stage import HERE

RIGHT = b"0123456789abcdef" * 4
SMALL = ROWS[0]


@contextmanager
def server(*bodies: bytes, status: int = 200) -> Iterator[int]:
    """Answers with the bodies in turn, the last one for ever."""
    left = list(bodies)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = left.pop(0) if len(left) > 1 else left[0]
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Keeps stderr for failures."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as one:
        thread = threading.Thread(target=one.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield one.server_address[1]
        finally:
            one.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    program = tmp_path_factory.mktemp("bench") / "client"
    command = ["gcc", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-o", str(program)]
    subprocess.run([*command, str(HERE / "client.c"), "-lssl", "-lcrypto"], check=True)
    return program


def ask(client: Path, port: int, mode: str, count: int, after_first: str = "") -> list[str]:
    body = client.with_name("body")
    body.write_bytes(RIGHT)
    command = [str(client), mode, "plain", str(port), "/64", str(body), str(count), "0.1"]
    done = subprocess.run(command, input=after_first, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def witness(port: int) -> Witness:
    one = Witness(SMALL, port, RIGHT)
    seen = threading.Event()
    one.on_answer = seen.set
    with one:
        assert seen.wait(10)
    return one


def test_the_witness_counts_right_answers() -> None:
    with server(RIGHT) as port:
        assert witness(port).answers >= 1


@pytest.mark.parametrize("wrong", [RIGHT[:-1], RIGHT + b"x", RIGHT[::-1]])
def test_the_witness_sees_a_wrong_body(wrong: bytes) -> None:
    with server(wrong) as port, pytest.raises(WrongAnswer, match="another body"):
        witness(port)


def test_the_witness_sees_a_wrong_status() -> None:
    with server(RIGHT, status=502) as port, pytest.raises(WrongAnswer, match="status 502"):
        witness(port)


def test_the_witness_sees_a_connection_that_ends_without_an_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        one = Witness(SMALL, mute.getsockname()[1], RIGHT)
        answered = threading.Event()
        one.on_answer = answered.set
        with pytest.raises(WrongAnswer, match=r"RemoteDisconnected|reset"), one:
            mute.accept()[0].close()
            assert answered.wait(10)


def test_our_client_counts_right_answers(client: Path) -> None:
    with server(RIGHT) as port:
        served = judged_client(ask(client, port, "fresh", 4)[0])
    assert isinstance(served, Served)
    assert served.units >= 4


@pytest.mark.parametrize("wrong", [RIGHT[::-1], RIGHT + b"x"])
def test_our_client_sees_one_wrong_body_among_many(client: Path, wrong: bytes) -> None:
    with server(RIGHT, RIGHT, RIGHT, wrong, RIGHT) as port, pytest.raises(WrongAnswer):
        judged_client(ask(client, port, "fresh", 2)[0])


def test_our_client_sees_a_wrong_status(client: Path) -> None:
    with server(RIGHT, status=500) as port, pytest.raises(WrongAnswer):
        judged_client(ask(client, port, "fresh", 2)[0])


def test_idle_connections_must_answer_once_more(client: Path) -> None:
    with server(RIGHT) as port:
        first, second = ask(client, port, "idle", 20, "\n")
    assert judged_client(first).units == judged_client(second).units == 20


def test_an_idle_connection_that_answers_wrongly_later_is_seen(client: Path) -> None:
    with server(*[RIGHT] * 20, RIGHT[::-1]) as port:
        first, second = ask(client, port, "idle", 20, "\n")
    assert judged_client(first).units == 20
    with pytest.raises(WrongAnswer):
        judged_client(second)


def test_what_is_started_is_ended_with_its_children(tmp_path: Path) -> None:
    running = start("parent", ["sh", "-c", "sleep 60 & echo $!; wait"], 0, tmp_path)
    while not running.log.read_text().endswith("\n"):
        assert running.process.poll() is None
    family = [running.pid, int(running.log.read_text())]
    assert alive(family) == family
    running.stop(patience=0.2)
    assert alive(family) == []
