"""The bench's own servers answer as servers do: with what is wrong nothing can be measured."""

import http.client
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from bench.stage import HERE

LARGE = "".join(f"{at:08x}-evener\n" for at in range(4096))


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    own = tmp_path_factory.mktemp("origin")
    (own / "64").write_text("x" * 64)
    (own / "64k").write_text(LARGE)
    program = str(own / "origin")
    source = str(HERE / "origin.c")
    subprocess.run(
        ["gcc", "-O1", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-o", program, source],
        check=True,
    )
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        number: int = taken.getsockname()[1]
    process = subprocess.Popen([program, str(own / "64"), str(own / "64k"), str(number)])
    try:
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", number)).close()
                break
            except ConnectionRefusedError:
                time.sleep(0.01)
        yield number
    finally:
        process.terminate()
        process.wait(10)


def test_answers_follow_each_other_on_one_connection(port: int) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as client:
        for path, body in (("/64", "x" * 64), ("/64k", LARGE)) * 2:
            client.request("GET", path)
            answer = client.getresponse()
            assert (answer.status, answer.read().decode()) == (200, body)


def test_heads_may_come_in_any_pieces_and_leave_room_for_a_slow_reader(port: int) -> None:
    asked = b"GET /64k HTTP/1.1\r\n\r\n" * 100 + b"GET /64 HTTP/1.1\r\nConnection: close\r\n\r\n"
    with closing(socket.create_connection(("127.0.0.1", port), timeout=10)) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in (asked[:7], asked[7:20], asked[20:]):
            client.sendall(piece)
            time.sleep(0.02)
        time.sleep(0.2)  # its buffers are full by now
        got = b"".join(iter(lambda: client.recv(1 << 16), b""))
    assert (got.count(LARGE.encode()), got.count(b" 200 OK\r\n")) == (100, 101)


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        (b"GET /64 HTTP/1.0\r\n\r\n", b"200"),
        (b"GET /other HTTP/1.1\r\n\r\n", b"404"),
        (b"POST /64 HTTP/1.1\r\nContent-Length: 0\r\n\r\n", b"404"),
    ],
)
def test_the_last_answer_ends_the_connection(port: int, asked: bytes, status: bytes) -> None:
    with closing(socket.create_connection(("127.0.0.1", port), timeout=10)) as client:
        client.sendall(asked)
        got = b"".join(iter(lambda: client.recv(4096), b""))
    assert got.split(b" ", 2)[1] == status
