"""TCP sessions: relayed as they come, each direction ends by itself, nothing is piled up."""

from __future__ import annotations

import hashlib
import re
import socket
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from .rig.instance import Evener
from .rig.origin import Origin, Talk
from .rig.places import fresh_address
from .rig.programs import Postgres, psql
from .rig.waiting import eventually
from .rig.wire import Wire, connect


def start(
    evener: Evener, servers: str, listener: str = "", pool: str = "", **settings: object
) -> Evener:
    return evener.start(
        f"listeners: {{db: {{bind: '{evener.listen}', protocol: tcp, pool: db, {listener}}}}}\n"
        f"pools: {{db: {{servers: [{servers}], {pool}}}}}\n",
        **settings,
    )


def echo(talk: Talk) -> None:
    while piece := talk.some():
        talk.send(piece)


@pytest.mark.leaf("listeners.NAME.protocol")
def test_bytes_are_relayed_and_counted(evener: Evener, origins: Callable[..., Origin]) -> None:
    origin = origins(echo)
    start(evener, f"'{origin.address}'")
    with Wire(evener.listen) as wire:
        for text in (b"one", b"\0\xff\r\n\r\n", b"x" * 100_000):
            wire.send(text)
            assert wire.take(len(text)) == text
        evener.until_counts(1, "evener_listener_open_connections", listener="db")
        assert evener.server(f"db/{origin.address}")["in_flight"] == 1
        wire.half_close()
        assert wire.rest() == b""
    count = 3 + 6 + 100_000
    evener.until_counts(1, "evener_server_sessions_total")
    evener.until_counts(1, "evener_listener_sessions_total", result="served")
    evener.until_counts(count, "evener_listener_bytes_total", direction="in")
    evener.until_counts(count, "evener_listener_bytes_total", direction="out")
    evener.until_counts(count, "evener_server_bytes_total", direction="in")
    evener.until_counts(0, "evener_listener_open_connections", listener="db")


def test_a_session_has_an_access_line_when_it_is_over(
    evener: Evener, origins: Callable[..., Origin]
) -> None:
    dead, origin = origins(name="dead"), origins(echo)
    dead.refuse()
    start(evener, f"'{dead.address}', '{origin.address}'", pool="passive: off", shards=1)
    with Wire(evener.listen) as wire:
        port = wire.sock.getsockname()[1]
        wire.send(b"hello")
        assert wire.take(5) == b"hello"
        assert evener.access() == [], "it is not over"
        wire.half_close()
        assert wire.rest() == b""
    line = evener.until_logged(lambda line: line["network.transport"] == "tcp")
    assert (line["client.address"], line["client.port"]) == ("127.0.0.1", port)
    assert (line["evener.listener"], line["evener.pool"]) == ("db", "db")
    assert (line["evener.server"], line["evener.tries"]) == (origin.address, 2)
    assert (line["evener.bytes_received"], line["evener.bytes_sent"]) == (5, 5)
    assert 0 < line["duration"] < 5 and "error.type" not in line
    origin.refuse()
    with Wire(evener.listen) as wire:
        assert wire.rest() == b""
    line = evener.until_logged(lambda line: line.get("error.type") == "connect_refused")
    assert line["error.detail"] == "Connection refused" and line["evener.bytes_sent"] == 0


def test_a_session_that_a_stop_cuts_has_its_line(
    evener: Evener, origins: Callable[..., Origin], home: Path
) -> None:
    origin, path = origins(echo), home / "combined.log"
    log = {"access": {"format": "combined", "to": str(path)}}
    start(evener, f"'{origin.address}'", log=log, drain={"requests": "300ms"})
    with Wire(evener.listen) as wire:
        wire.send(b"hello")
        assert wire.take(5) == b"hello"
        evener.stop()
    assert re.fullmatch(r'127\.0\.0\.1 - - \[.*\] "TCP db" 200 5 "-" "-"\n', path.read_text())


def test_a_server_that_speaks_first_is_heard(
    evener: Evener, origins: Callable[..., Origin]
) -> None:
    def greets(talk: Talk) -> None:
        talk.send(b"220 ready\r\n")
        echo(talk)

    start(evener, f"'{origins(greets).address}'")
    with Wire(evener.listen) as wire:
        assert wire.until(b"\n") == b"220 ready\r\n"


def test_each_direction_ends_by_itself(evener: Evener, origins: Callable[..., Origin]) -> None:
    def answers_after_the_end(talk: Talk) -> None:
        whole = b""
        while piece := talk.some():
            whole += piece
        talk.send(b"got " + whole)

    start(evener, f"'{origins(answers_after_the_end).address}'")
    with Wire(evener.listen) as wire:
        wire.send(b"question")
        wire.half_close()
        assert wire.rest() == b"got question"

    def ends_first(talk: Talk) -> None:
        talk.send(b"bye")
        talk.half_close()
        talk.note(talk.head())

    origin = origins(ends_first)
    evener.reload(
        evener.file.read_text()
        .partition("\n")[2]
        .replace("servers: [", f"servers: ['{origin.address}', ")
    )
    for _ in range(2):
        with Wire(evener.listen) as wire:
            wire.send(b"GET /late HTTP/1.1\r\n\r\n")
            if wire.sock.recv(3, socket.MSG_PEEK) == b"bye":
                assert wire.rest() == b"bye"
                break
            wire.half_close()
    origin.got("/late")


def test_a_clients_reset_is_one_for_the_server(
    evener: Evener, origins: Callable[..., Origin]
) -> None:
    ended: list[str] = []

    def listens(talk: Talk) -> None:
        talk.send(b"220 ready")
        try:
            while talk.sock.recv(100):
                pass
            ended.append("in order")
        except ConnectionResetError:
            ended.append("by a reset")

    start(evener, f"'{origins(listens).address}'")
    wire = Wire(evener.listen)
    assert wire.until(b"ready") == b"220 ready"
    wire.send(b"half of")
    wire.reset()
    eventually(lambda: ended == ["by a reset"], what="the server sees the reset")


def test_a_servers_reset_is_one_for_the_client(
    evener: Evener, origins: Callable[..., Origin]
) -> None:
    def breaks_off(talk: Talk) -> None:
        talk.send(b"half of")
        talk.some()
        talk.reset()

    start(evener, f"'{origins(breaks_off).address}'")
    with Wire(evener.listen) as wire:
        assert wire.until(b"of") == b"half of"
        wire.send(b"x")
        with pytest.raises(ConnectionResetError):
            wire.sock.recv(100)


def test_64_mib_pass_both_ways_at_once_whole_and_without_piling_up(
    evener: Evener, origins: Callable[..., Origin]
) -> None:
    size, piece = 64 << 20, bytes(range(256)) * 256

    def pours(talk: Talk) -> None:
        sending = threading.Thread(target=_pour, args=(talk.sock, piece, size))
        sending.start()
        digest, count = hashlib.blake2b(), 0
        while count < size and (got := talk.sock.recv(1 << 18)):
            digest.update(got)
            count += len(got)
        sending.join()
        talk.origin.name = digest.hexdigest()

    origin = origins(pours)
    start(evener, f"'{origin.address}'", shards=1)
    expected = hashlib.blake2b(piece * (size // len(piece))).hexdigest()
    with connect(evener.listen) as sock:
        sending = threading.Thread(target=_pour, args=(sock, piece, size))
        sending.start()
        digest, count = hashlib.blake2b(), 0
        while count < size and (got := sock.recv(1 << 18)):
            digest.update(got)
            count += len(got)
        sending.join(30)
    assert count == size and digest.hexdigest() == expected
    eventually(lambda: origin.name == expected, what="the server's side is whole, too")


def _pour(sock: socket.socket, piece: bytes, size: int) -> None:
    for _ in range(size // len(piece)):
        sock.sendall(piece)


def test_a_reader_that_rests_stops_the_writer(
    evener: Evener, origins: Callable[..., Origin]
) -> None:
    """Back-pressure: what a client does not take is neither dropped nor piled up here."""
    sent = [0]

    def floods(talk: Talk) -> None:
        for _ in range(2000):
            talk.send(b"x" * 65536)
            sent[0] += 65536

    start(evener, f"'{origins(floods).address}'", shards=1)
    before = resident(evener.worker)
    with connect(evener.listen) as sock:
        sock.recv(1)
        last = [-1, time.monotonic()]

        def still() -> bool:
            if sent[0] != last[0]:
                last[:] = [sent[0], time.monotonic()]
            return time.monotonic() - last[1] > 0.7

        eventually(still, 15.0, "the server's sending stops")
        # Sockets on both sides hold what they may (tcp_wmem, tcp_rmem); we hold little.
        assert sent[0] < 40 << 20, sent
        assert resident(evener.worker) - before < 8 << 20
        count = 1
        while got := sock.recv(1 << 18):
            count += len(got)
    assert count == 2000 * 65536


def resident(pid: int) -> int:
    """Bytes of memory that a process holds."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


def test_a_server_that_refuses_gives_way_to_the_next(
    evener: Evener, origins: Callable[..., Origin]
) -> None:
    origin = origins(echo)
    dead = fresh_address()
    start(evener, f"'{dead}', '{origin.address}'")
    for _ in range(3):
        with Wire(evener.listen) as wire:
            wire.send(b"ping")
            assert wire.take(4) == b"ping"
    assert evener.server(f"db/{dead}")["state"] == "ejected"
    evener.until_counts(1, "evener_pool_retries_total", cause="connect")


def test_without_any_server_the_session_ends_and_is_counted(evener: Evener) -> None:
    start(evener, f"'{fresh_address()}'")
    with Wire(evener.listen) as wire:
        assert wire.closes()
    evener.until_counts(1, "evener_listener_sessions_total", result="refused")
    assert evener.metrics().value("evener_pool_retries_total") == 0


def test_sessions_have_their_idle_time_and_their_end(
    evener: Evener, origins: Callable[..., Origin]
) -> None:
    start(evener, f"'{origins(echo).address}'", "timeouts: {tunnel: {idle: 500ms, max: 2s}}")
    with Wire(evener.listen) as wire:
        begun = time.monotonic()
        wire.send(b"ping")
        assert wire.take(4) == b"ping"
        assert wire.closes()
        assert 0.45 <= time.monotonic() - begun <= 2.5
    evener.until_counts(1, "evener_listener_errors_total", cause="tunnel_idle")
    begun = time.monotonic()
    with Wire(evener.listen) as wire:

        def closed() -> bool:
            try:
                wire.send(b"ping")
                return wire.take(4) != b"ping"
            except (AssertionError, OSError):
                return True

        eventually(closed, 6.0, "the session ends")
        assert 1.95 <= time.monotonic() - begun <= 4.0
    evener.until_counts(1, "evener_limit_hits_total", limit="tunnel_max")


def test_a_reload_leaves_sessions_alone(evener: Evener, origins: Callable[..., Origin]) -> None:
    one, two = origins(echo, name="one"), origins(echo, name="two")
    start(evener, f"'{one.address}'")
    with Wire(evener.listen) as kept:
        kept.send(b"before")
        assert kept.take(6) == b"before"
        text = evener.file.read_text().partition("\n")[2]
        evener.reload(text.replace(one.address, two.address))
        kept.send(b"after")
        assert kept.take(5) == b"after"
        with Wire(evener.listen) as fresh:
            fresh.send(b"x")
            assert fresh.take(1) == b"x"
    assert one.connections == 1 and two.connections == 1


def test_psql_works_through_it(evener: Evener, home: Path, ends: ExitStack) -> None:
    database = Postgres(home)
    ends.callback(database.process.end)
    start(evener, f"'{database.address}'", pool="check: {tcp, every: 500ms}")
    assert psql(evener.listen, "select 6 * 7") == "42"
    psql(evener.listen, "create table t as select generate_series(1, 200000) as n")
    assert psql(evener.listen, "select sum(n) from t") == "20000100000"
    rows = psql(evener.listen, "select n from t order by n").splitlines()
    assert len(rows) == 200_000 and rows[-1] == "200000"
    # A statement that lasts is cut by nobody, and a reload passes it by.
    slow: list[str] = []
    asking = threading.Thread(
        target=lambda: slow.append(psql(evener.listen, "select 'slept' from pg_sleep(1)"))
    )
    asking.start()
    evener.reload()
    asking.join(20)
    assert slow == ["slept"]
    status = evener.status()
    assert status["listeners"][0]["protocol"] == "tcp" and status["listeners"][0]["requests"] == 5


def test_a_session_that_outlives_its_server_by_reloads_counts_for_nobody_else(
    evener: Evener, origins: Callable[..., Origin]
) -> None:
    """Its counters may not have been given to another server meanwhile."""
    one, *others = (origins(echo) for _ in range(5))
    start(evener, f"'{one.address}'", shards=1)
    text = evener.file.read_text().partition("\n")[2]
    with Wire(evener.listen) as kept:
        kept.send(b"x")
        assert kept.take(1) == b"x"
        for count in range(1, 5):
            servers = ", ".join(f"'{each.address}'" for each in others[:count])
            evener.reload(text.replace(f"'{one.address}'", servers))
        kept.send(b"y" * 1000)
        assert kept.take(1000) == b"y" * 1000
    evener.until_counts(0, "evener_listener_open_connections", listener="db")
    page = evener.metrics()
    for each in others:
        for name in ("sessions_total", "bytes_total", "in_flight"):
            assert page.value(f"evener_server_{name}", server=each.address) == 0, name
