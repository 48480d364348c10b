"""A stop lets work in hand end, refuses newcomers at once, and ends both processes."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from .rig.checking import CheckingClient
from .rig.instance import Evener
from .rig.origin import Origin, Talk
from .rig.processes import exists
from .rig.programs import Webs, answers
from .rig.waiting import eventually
from .rig.wire import Closed, Wire


def web(evener: Evener, server: str, more: str = "") -> str:
    return (
        f"listeners: {{web: {{bind: '{evener.listen}', pool: app{more}}}}}\n"
        f"pools: {{app: ['{server}']}}\n"
    )


class Gate:
    """A behaviour that answers once it is opened."""

    def __init__(self) -> None:
        self.open = False

    def __call__(self, talk: Talk) -> None:
        while True:
            request = talk.request()
            eventually(lambda: self.open or talk.origin.ending, 20.0, "the gate opens")
            talk.answer(f"late {request.target}".encode())


def test_requests_in_hand_end_idle_connections_close_newcomers_are_refused(
    evener: Evener, origins: Callable[..., Origin]
) -> None:
    gate = Gate()
    origin = origins(gate)
    evener.start(web(evener, origin.address))
    worker = evener.worker
    with Wire(evener.listen) as busy, Wire(evener.listen) as idle, Wire(evener.listen) as fresh:
        gate.open = True
        assert idle.ask("/idle").status == 200
        gate.open = False
        busy.send("GET /busy HTTP/1.1\r\nHost: a\r\n\r\n")
        origin.got("/busy")
        evener.signal(signal.SIGTERM)
        assert idle.closes() and fresh.closes()
        assert not answers(evener.listen)
        gate.open = True
        answer = busy.answer()
        assert answer.body == b"late /busy" and answer.value("connection") == "close"
        assert busy.closes()
    assert evener.own().ended() == 0
    assert "nothing was cut" in evener.words()
    assert not exists(worker) and not (evener.run / "instance.json").exists()


def test_a_worker_whose_supervisor_died_is_drained_by_the_command(
    evener: Evener, origins: Callable[..., Origin]
) -> None:
    gate = Gate()
    origin = origins(gate)
    evener.start(web(evener, origin.address))
    worker = evener.worker
    evener.signal(signal.SIGKILL)
    evener.own().ended()
    shown = evener.command("show", "status", "--run", str(evener.run))
    assert shown.returncode == 3 and f"worker {worker} serves on" in shown.stderr
    with Wire(evener.listen) as busy:
        busy.send("GET /busy HTTP/1.1\r\nHost: a\r\n\r\n")
        origin.got("/busy")
        stop = evener.launch("stop", "--run", str(evener.run))
        eventually(lambda: not answers(evener.listen), what="newcomers are refused")
        gate.open = True
        assert busy.answer().body == b"late /busy"
    assert stop.ended() == 0 and "stopped" in stop.words()
    assert not exists(worker) and not list(evener.run.glob("*.sock"))


def test_a_stop_under_load_costs_no_answer(evener: Evener, webs: Callable[..., Webs]) -> None:
    nginx = webs("a")
    evener.start(web(evener, nginx["a"]))
    with CheckingClient(evener.listen) as client:
        eventually(lambda: client.account.answered > 100, what="load")
        assert evener.stop() == 0
        account = client.stop()
    # Idle connections close as soon as no request is in hand: a question may cross that on its
    # way. It is lost at most once per connection; all else is a refusal after the doors closed.
    crossed = account.anomalies.pop("ConnectionResetError", 0)
    crossed += account.anomalies.pop("IncompleteReadError", 0)
    account.anomalies.pop("refused")
    assert crossed <= 8 and not account.anomalies, (crossed, account.anomalies)


def test_the_stop_command_waits_for_the_end(evener: Evener, origin: Origin) -> None:
    evener.start(web(evener, origin.address))
    worker = evener.worker
    evener.tell("stop")
    assert evener.own().ended(5.0) == 0
    assert not exists(worker)


@pytest.mark.leaf("evener.drain.requests")
def test_time_cuts_what_does_not_end_and_it_is_said(
    evener: Evener, origins: Callable[..., Origin]
) -> None:
    origin = origins(Gate())
    evener.start(web(evener, origin.address), drain={"requests": "300ms"})
    with Wire(evener.listen) as busy:
        busy.send("GET /never HTTP/1.1\r\nHost: a\r\n\r\n")
        origin.got("/never")
        begun = time.monotonic()
        assert evener.stop() == 0
        assert 0.25 < time.monotonic() - begun < 5.0
        with contextlib.suppress(OSError, Closed):
            busy.answer()
    assert "time cut 1 connection" in evener.words()


def test_a_second_term_ends_now(evener: Evener, origins: Callable[..., Origin]) -> None:
    origin = origins(Gate())
    evener.start(web(evener, origin.address))
    with Wire(evener.listen) as busy:
        busy.send("GET /never HTTP/1.1\r\nHost: a\r\n\r\n")
        origin.got("/never")
        evener.signal(signal.SIGTERM)
        evener.own().until_says("stopping")
        begun = time.monotonic()
        evener.signal(signal.SIGTERM)
        assert evener.own().ended() == 0
        assert time.monotonic() - begun < 3.0
        assert busy.closes()
    assert "stopped at once" in evener.words()


def test_stop_now_ends_now(evener: Evener, origins: Callable[..., Origin]) -> None:
    origin = origins(Gate())
    evener.start(web(evener, origin.address))
    with Wire(evener.listen) as busy:
        busy.send("GET /never HTTP/1.1\r\nHost: a\r\n\r\n")
        origin.got("/never")
        evener.tell("stop", "--now")
        assert evener.own().ended(3.0) == 0


def test_ctrl_c_reaches_the_whole_group_and_drains(
    evener: Evener, origins: Callable[..., Origin]
) -> None:
    gate = Gate()
    origin = origins(gate)
    evener.start(web(evener, origin.address))
    with Wire(evener.listen) as busy:
        busy.send("GET /busy HTTP/1.1\r\nHost: a\r\n\r\n")
        origin.got("/busy")
        os.killpg(evener.own().pid, signal.SIGINT)
        evener.own().until_says("stopping")
        gate.open = True
        assert busy.answer().body == b"late /busy"
    assert evener.own().ended() == 0


def test_tunnels_have_the_time_of_requests_at_a_stop(
    evener: Evener, origins: Callable[..., Origin]
) -> None:
    def echo(talk: Talk) -> None:
        while piece := talk.some():
            talk.send(piece)

    origin = origins(echo)
    evener.start(
        f"listeners: {{db: {{bind: '{evener.listen}', protocol: tcp, pool: db}}}}\n"
        f"pools: {{db: ['{origin.address}']}}\n",
        drain={"requests": "500ms"},
    )
    with Wire(evener.listen) as session:
        session.send(b"ping")
        assert session.take(4) == b"ping"
        evener.signal(signal.SIGTERM)
        eventually(lambda: not answers(evener.listen), what="newcomers are refused")
        session.send(b"more")
        assert session.take(4) == b"more"
        assert evener.own().ended(5.0) == 0
        assert session.closes()
    assert "time cut 1 connection" in evener.words()


@pytest.mark.leaf("evener.run")
def test_the_files_of_the_run_directory_go_with_the_instance(
    evener: Evener, origin: Origin, home: Path
) -> None:
    evener.start(web(evener, origin.address))
    assert (home / "run" / "admin.sock").exists()
    assert evener.stop() == 0
    left = {path.name for path in (home / "run").iterdir()}
    assert left <= {"lock"}, left


def test_parked_connections_close_at_once(evener: Evener, origin: Origin) -> None:
    evener.start(web(evener, origin.address))
    wires = [Wire(evener.listen) for _ in range(5)]
    for wire in wires:
        assert wire.ask("/").status == 200
    evener.until_counts(5, "evener_parked_connections")
    begun = time.monotonic()
    assert evener.stop() == 0
    assert time.monotonic() - begun < 3.0
    for wire in wires:
        assert wire.closes()
        wire.close()
