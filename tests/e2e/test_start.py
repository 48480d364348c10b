"""A start opens everything or nothing, says what is in the way, and answers soon."""

from __future__ import annotations

import os
import re
import signal
import socket
import stat
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from .rig.instance import Evener
from .rig.origin import Origin
from .rig.places import free_port, fresh_address, fresh_host
from .rig.processes import exists
from .rig.programs import answers
from .rig.waiting import eventually
from .rig.wire import Wire, get


def app(evener: Evener, *servers: str) -> str:
    """The smallest configuration: the main listener in front of these servers."""
    return (
        f"listeners: {{web: {{bind: '{evener.listen}', pool: app}}}}\n"
        f"pools: {{app: [{', '.join(repr(each) for each in servers)}]}}\n"
    )


def blocked(pid: int) -> set[int]:
    """The signals that wait (proc_pid_status(5))."""
    found = re.search(r"(?m)^SigBlk:\s*([0-9a-f]+)$", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return {number for number in range(1, 65) if int(found[1], 16) >> (number - 1) & 1}


@pytest.mark.leaf("listeners.NAME.pool", "pools.NAME.servers[].address")
def test_a_start_serves_and_says_where(evener: Evener, origin: Origin) -> None:
    evener.start(app(evener, origin.address))
    assert get(evener.listen, "/hello").body == b"origin /hello"
    assert f"serving on {evener.listen}" in evener.words()
    status = evener.status()
    assert status["problems"] == [] and status["plan"]["generation"] == 1
    assert status["instance"]["pid"] == evener.own().pid != evener.worker


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_a_signal_at_the_very_start_waits_until_somebody_obeys_it(
    evener: Evener, origin: Origin, number: int
) -> None:
    evener.write(app(evener, origin.address))
    process = evener.launch("run", str(evener.file))
    eventually(lambda: number in blocked(process.pid), every=0.001)
    process.signal(number)
    if number == signal.SIGTERM:
        assert process.ended() == 0
        return
    eventually(lambda: answers(evener.listen))
    eventually(lambda: evener.status()["plan"]["generation"] == 2)


def test_without_stdin_stdout_and_stderr_nothing_else_takes_their_numbers(
    evener: Evener, origin: Origin
) -> None:
    evener.wrapper = ["sh", "-c", 'exec "$0" "$@" <&- >&- 2>&-']
    log = {"to": str(evener.directory / "event.log"), "access": {"to": "stdout"}}
    evener.write(app(evener, origin.address), log=log)
    evener.launch("run", str(evener.file))
    worker = evener.worker
    assert get(evener.listen, "/hello").body == b"origin /hello"
    for pid in (evener.own().pid, worker):
        assert {os.readlink(f"/proc/{pid}/fd/{number}") for number in range(3)} == {"/dev/null"}
    assert evener.stop() == 0


def test_an_address_in_use_names_its_holder_and_nothing_stays_open(
    evener: Evener, origin: Origin
) -> None:
    taken = fresh_address()
    host, _, port = taken.rpartition(":")
    with socket.create_server((host, int(port))):
        evener.write(
            f"listeners: {{web: {{bind: ['{evener.listen}', '{taken}'], pool: app}}}}\n"
            f"pools: {{app: ['{origin.address}']}}\n"
        )
        process = evener.launch("run", str(evener.file))
        assert process.ended() == 1
    assert taken in evener.words() and str(os.getpid()) in evener.words()
    assert "Traceback" not in evener.words()
    assert not answers(evener.listen)
    assert not (evener.run / "instance.json").exists()


def test_every_address_that_cannot_be_opened_is_named(evener: Evener, origin: Origin) -> None:
    # These are nobody's (RFC 5737).
    evener.write(
        f"listeners: {{web: {{bind: ['198.51.100.1:8080', '203.0.113.2:8080'], pool: app}}}}\n"
        f"pools: {{app: ['{origin.address}']}}\n"
    )
    assert evener.launch("run", str(evener.file)).ended() == 1
    assert "198.51.100.1:8080" in evener.words() and "203.0.113.2:8080" in evener.words()


@pytest.mark.leaf("listeners.NAME.bind[].address")
def test_a_port_without_address_is_both_families(evener: Evener, origin: Origin) -> None:
    port = free_port("0.0.0.0")
    evener.start(
        f"listeners: {{web: {{bind: ':{port}', pool: app}}}}\npools: {{app: ['{origin.address}']}}"
    )
    assert get(f"127.0.0.1:{port}").status == 200
    assert get(f"[::1]:{port}").status == 200


def test_an_ipv6_listener_and_an_ipv6_server(
    evener: Evener, origins: Callable[..., Origin]
) -> None:
    origin = origins(host="::1")
    port = free_port("::1")
    evener.start(
        f"listeners: {{web: {{bind: '[::1]:{port}', pool: app}}}}\n"
        f"pools: {{app: ['{origin.address}']}}\n"
    )
    assert get(f"[::1]:{port}", "/six").status == 200
    assert origin.got("/six").all("x-forwarded-for") == ["::1"]


@pytest.mark.leaf("listeners.NAME.bind[].mode")
def test_a_unix_listener_has_its_mode_and_goes_with_the_instance(
    evener: Evener, origins: Callable[..., Origin], home: Path
) -> None:
    origin = origins(path=home / "origin.sock")
    path = home / "web.sock"
    evener.start(
        f"listeners: {{web: {{bind: {{address: 'unix:{path}', mode: 0600}}, pool: app}}}}\n"
        f"pools: {{app: ['{origin.address}']}}\n"
    )
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert get(f"unix:{path}", "/unix").status == 200
    assert origin.got("/unix").all("x-forwarded-for") == ["unix"]
    assert evener.stop() == 0
    assert not path.exists()


def test_a_second_run_on_a_living_instance_is_an_error_that_names_it(
    evener: Evener, origin: Origin
) -> None:
    evener.start(app(evener, origin.address))
    second = evener.command("run", str(evener.file))
    assert second.returncode == 1
    assert str(evener.run) in second.stderr and str(evener.own().pid) in second.stderr
    assert get(evener.listen).status == 200


def test_a_wrong_file_ends_with_2_and_the_place(evener: Evener) -> None:
    evener.write_whole("listeners:\n  web: {bind: ':8080', poool: app}\n")
    wrong = evener.command("run", str(evener.file))
    assert wrong.returncode == 2
    assert f"{evener.file}:2:" in wrong.stderr and "pool" in wrong.stderr
    assert evener.command("check", str(evener.file)).returncode == 2
    assert evener.command("run", "missing.yaml").returncode == 2


def test_commands_without_an_instance_end_with_3(evener: Evener) -> None:
    for words in (["show", "status"], ["reload"], ["stop"], ["why", "app/x"]):
        assert evener.command(*words, "--run", str(evener.run)).returncode == 3, words


@pytest.mark.leaf("evener.shards")
def test_shards_are_as_many_as_the_file_says(evener: Evener, origin: Origin) -> None:
    evener.start(app(evener, origin.address), shards=3)
    evener.until_counts(3, "evener_shards")
    names = [
        (task / "comm").read_text().strip()
        for task in Path(f"/proc/{evener.worker}/task").iterdir()
    ]
    assert len([name for name in names if re.search(r"shard.*\d", name)]) == 3, names


@pytest.mark.leaf("evener.admin.bind")
def test_the_admin_socket_stands_where_the_file_says(
    evener: Evener, origin: Origin, home: Path
) -> None:
    evener.start(app(evener, origin.address), admin={"bind": f"unix:{home}/other.sock"})
    assert stat.S_IMODE((home / "other.sock").stat().st_mode) == 0o600
    assert evener.show("status")["plan"]["generation"] == 1


@pytest.mark.alone
def test_quick_answers_within_400_ms(
    evener: Evener, origin: Origin, record_property: Callable[[str, object], None]
) -> None:
    """The median of five: from the start of the command to the first answer's last byte."""
    took = []
    for _ in range(5):
        listen = fresh_address()
        begun = time.monotonic()
        process = evener.launch("quick", listen, origin.address)
        eventually(lambda at=listen: answers(at), every=0.001)
        assert get(listen).status == 200
        took.append(time.monotonic() - begun)
        process.signal(signal.SIGTERM)
        assert process.ended() == 0
    record_property("figure", f"{1000 * sorted(took)[2]:.0f} ms of 400")
    assert sorted(took)[2] <= 0.4, took


def test_quick_has_a_run_directory_of_its_own_and_takes_its_worker_along(
    evener: Evener, origin: Origin
) -> None:
    host = fresh_host()
    listen = f"{host}:{free_port(host)}"
    process = evener.launch("quick", listen, origin.address)
    process.until_says("serving on")
    with Wire(listen) as wire:
        assert wire.ask("/").status == 200
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert len(children) == 1
    process.signal(signal.SIGKILL)
    process.ended()
    eventually(lambda: not exists(int(children[0])), what="the worker of quick ends with it")


def test_a_port_of_0_is_no_port(evener: Evener) -> None:
    """Nobody would know where to ask; a port stands in the file."""
    evener.write("listeners: {web: {bind: '127.0.0.1:0', redirect: https}}")
    refused = evener.command("check", str(evener.file))
    assert refused.returncode == 2 and "1 to 65535" in refused.stderr


def test_usr2_says_what_it_cannot(evener: Evener, origin: Origin) -> None:
    evener.start(app(evener, origin.address))
    evener.signal(signal.SIGUSR2)
    evener.own().until_says("cannot upgrade in place")
    assert get(evener.listen).status == 200
