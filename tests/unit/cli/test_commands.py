"""The commands against an instance with a scripted worker."""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from evener.admin import doors
from evener.cli import steer
from evener.cli.app import app
from evener.control import orphans, serving
from evener.control.instance import identity_of
from evener.control.supervisor import Supervisor

from ..control.fake_worker import FakeWorker
from ..control.scene import FakeCounters, Scene, bind, until

pytestmark = pytest.mark.asyncio


@contextlib.asynccontextmanager
async def instance(tmp_path: Path) -> AsyncIterator[tuple[Scene, Supervisor]]:
    scene = Scene(tmp_path)
    async with scene.serving() as supervisor:
        door = asyncio.create_task(doors.serve(supervisor))
        try:
            yield scene, supervisor
        finally:
            door.cancel()
            await asyncio.gather(door, return_exceptions=True)


async def evener(tmp_path: Path, *arguments: str) -> Result:
    """One command, in a thread, for the instance of this test."""
    named = [*arguments, "--run", str(tmp_path / "run")]
    return await asyncio.to_thread(CliRunner().invoke, app, named)


async def test_status_shows_problems_then_listeners_then_pools(tmp_path: Path) -> None:
    async with instance(tmp_path) as (scene, supervisor):
        key = "app", "10.0.0.2:80"
        scene.script.worker.health[key] |= {"state": "down", "reason": "connection refused"}
        shown = (await evener(tmp_path, "show", "status")).stdout
        assert "✖ down" in shown and "\x1b" not in shown
        order = ["serving plan 1", "▲ app/10.0.0.2:80 is down: connection refused", "LISTENER"]
        order += ["pool app", "SERVER", "● up"]
        places = [shown.index(words) for words in order]
        assert places == sorted(places)
        assert next(iter(supervisor.keeper.listening.addresses().values())) in shown
        assert max(map(len, shown.splitlines()[1:])) <= 100 + len(str(tmp_path))


async def test_status_as_json_has_the_same(tmp_path: Path) -> None:
    async with instance(tmp_path):
        tree = json.loads((await evener(tmp_path, "show", "status", "--json")).stdout)
        assert tree["plan"]["generation"] == 1 and tree["problems"] == []
        assert tree["instance"]["run"] == str(tmp_path / "run")


async def test_config_plan_servers_and_metrics_are_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeCounters, "page", "evener_shards 2\n")
    async with instance(tmp_path):
        assert (await evener(tmp_path, "show", "config")).stdout == "as written\n"
        resolved = await evener(tmp_path, "show", "config", "--resolved")
        assert resolved.stdout == "resolved\n"
        assert json.loads((await evener(tmp_path, "show", "plan")).stdout)["generation"] == 1
        rows = json.loads((await evener(tmp_path, "show", "servers", "--json")).stdout)
        assert [row["server"] for row in rows] == ["10.0.0.1:80", "10.0.0.2:80"]
        assert "app/10.0.0.1:80" in (await evener(tmp_path, "show", "servers")).stdout
        assert (await evener(tmp_path, "show", "metrics")).stdout == "evener_shards 2\n"


async def test_why_says_sentences_and_names_what_there_is(tmp_path: Path) -> None:
    async with instance(tmp_path):
        told = await evener(tmp_path, "why", "app/10.0.0.1:80")
        assert told.exit_code == 0 and told.stdout.startswith("app/10.0.0.1:80 is up")
        unknown = await evener(tmp_path, "why", "app/nobody")
        assert unknown.exit_code == 1 and unknown.stdout == ""
        assert "there is no server app/nobody" in unknown.stderr
        assert "10.0.0.1:80" in unknown.stderr
        unnamed = await evener(tmp_path, "why", "app")
        assert "is not POOL/SERVER" in unnamed.stderr and unnamed.exit_code == 2


async def test_a_server_is_drained_and_made_ready(tmp_path: Path) -> None:
    async with instance(tmp_path) as (scene, _):
        drained = await evener(tmp_path, "server", "drain", "app/10.0.0.1:80", "--wait", "1s")
        assert drained.exit_code == 0 and drained.stdout == ""
        assert scene.script.worker.told("admin")[-1]["admin"] == "drain"
        facts = await evener(tmp_path, "server", "ready", "app/10.0.0.1:80", "--json")
        assert json.loads(facts.stdout)["admin"] == "ready"


async def test_a_drain_that_cannot_be_kept_is_carried_out_with_a_warning(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("no directory")
    async with instance(tmp_path) as (scene, supervisor):
        for command in (["drain", "app/10.0.0.1:80"], ["weight", "app/10.0.0.1:80", "5"]):
            said = await evener(tmp_path, "server", *command)
            assert said.exit_code == 0
            assert "warning: cannot keep this over a restart" in said.stderr
        assert scene.script.worker.told("admin")[-1]["admin"] == "drain"
        await supervisor.reload()
        server = scene.script.worker.told("plan")[-1]["plan"]["pools"][0]["servers"][0]
        assert (server["admin"], server["weight"]) == ("drain", 5)


async def test_a_server_is_given_another_weight(tmp_path: Path) -> None:
    async with instance(tmp_path) as (scene, _):
        given = await evener(tmp_path, "server", "weight", "app/10.0.0.1:80", "5")
        assert (given.exit_code, given.stdout) == (
            0,
            "",
        ) and "10.0.0.1:80 has weight" in given.stderr
        plan = scene.script.worker.told("plan")[-1]["plan"]
        weights = {each["id"]: each["weight"] for each in plan["pools"][0]["servers"]}
        assert (plan["generation"], weights["10.0.0.1:80"]) == (2, 5)
        scene.script.refuse["plan"] = ["no"]
        refused = await evener(tmp_path, "server", "weight", "app/10.0.0.1:80", "6")
        assert refused.exit_code == 1 and "no" in refused.stderr
        del scene.script.refuse["plan"]
        assert "plan 4" in (await evener(tmp_path, "reload")).stderr
        plan = scene.script.worker.told("plan")[-1]["plan"]
        weights = {each["id"]: each["weight"] for each in plan["pools"][0]["servers"]}
        assert weights["10.0.0.1:80"] == 5, "the word that was refused is taken back"


async def test_waiting_for_a_drain_ends_with_its_time(tmp_path: Path) -> None:
    async with instance(tmp_path) as (scene, _):
        scene.script.worker.health["app", "10.0.0.1:80"]["in_flight"] = 3
        late = await evener(tmp_path, "server", "drain", "app/10.0.0.1:80", "--wait", "10ms")
        assert late.exit_code == 1 and "still has 3 in hand" in late.stderr
        for no_time in ("soon", "5", "²s", "5hm", "1.s", "-1s"):
            wrong = await evener(tmp_path, "server", "drain", "app/10.0.0.1:80", "--wait", no_time)
            assert wrong.exit_code == 2, no_time


async def test_a_time_on_the_line_is_a_time_of_the_file() -> None:
    assert [steer.seconds(text) for text in ("250ms", "1.5s", "2m", "1 h", "1d")] == [
        *(0.25, 1.5, 120.0, 3600.0, 86_400.0)
    ]


async def test_reload_tells_what_changed_or_what_is_wrong(tmp_path: Path) -> None:
    async with instance(tmp_path) as (scene, _):
        assert "plan 2 serves" in (await evener(tmp_path, "reload")).stderr
        scene.source.wrong = ["evener.yaml:3:5: found `x`", "evener.yaml:9:1: found `y`"]
        failed = await evener(tmp_path, "reload")
        assert failed.exit_code == 1 and failed.stdout == ""
        assert "evener.yaml:3:5" in failed.stderr and "evener.yaml:9:1" in failed.stderr
        assert "file and served plan differ" in (await evener(tmp_path, "show", "status")).stdout


async def test_reload_tells_of_addresses_and_of_one_server_as_one(tmp_path: Path) -> None:
    async with instance(tmp_path) as (scene, supervisor):
        (old,) = supervisor.keeper.listening.addresses().values()
        scene.source.binds = (bind("127.0.0.2:0"), bind("127.0.0.3:0"))
        told = (await evener(tmp_path, "reload")).stderr
        new = ", ".join(supervisor.keeper.listening.addresses().values())
        assert told.endswith(f"removed; listens on {new}; no more on {old}\n")
        again = json.loads((await evener(tmp_path, "reload", "--json")).stdout)
        assert again["opened"] == again["closed"] == []
        assert supervisor.last and "listens" not in serving.told(supervisor.last)
    one = {"generation": 2, "kept": 1, "added": 0, "removed": 0}
    assert steer.reloaded(one) == "plan 2 serves: 1 server kept, 0 added, 0 removed"


async def test_stop_waits_for_the_end(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    supervisor = scene.supervisor()
    await supervisor.start()
    running = asyncio.create_task(supervisor.run())
    door = asyncio.create_task(doors.serve(supervisor))
    stopped = await evener(tmp_path, "stop")
    assert stopped.exit_code == 0 and "stopped" in stopped.stderr
    assert await running == 0
    door.cancel()
    await asyncio.gather(door, return_exceptions=True)


def orphan(tmp_path: Path) -> tuple[Scene, FakeWorker]:
    """A worker whose supervisor has died."""
    scene = Scene(tmp_path)
    scene.run.mkdir(mode=0o700)
    return scene, scene.script.spawn(scene.run / "worker-7.sock", False)


async def test_stop_does_not_wait_for_the_next_one_in_that_place(tmp_path: Path) -> None:
    async with instance(tmp_path) as (scene, supervisor):
        scene.script.silent.add("drained")
        stop = asyncio.create_task(evener(tmp_path, "stop"))
        await until(lambda: scene.script.worker.told("drain"))
        facts = identity_of(supervisor.run_directory.path)
        assert facts is not None
        supervisor.run_directory.write(replace(facts, started=facts.started + 1))
        stopped = await asyncio.wait_for(stop, 5)
        assert stopped.exit_code == 0 and "stopped" in stopped.stderr


async def test_what_a_dead_supervisor_left_is_said_and_stopped(tmp_path: Path) -> None:
    scene, worker = orphan(tmp_path)
    scene.script.cut, scene.script.lingers = 2, 0.05
    for command in (["show", "status"], ["reload"]):
        said = await evener(tmp_path, *command)
        assert said.exit_code == 3 and f"worker {os.getpid()} serves on" in said.stderr
    assert not worker.heard
    stopped = await evener(tmp_path, "stop")
    assert stopped.exit_code == 0 and "stopped; time cut 2 connections" in stopped.stderr
    assert worker.told("drain")[0]["requests_ms"] == 30_000 and worker.ended.done()
    assert [path.name for path in scene.run.iterdir()] == ["lock"]
    assert "no instance is running" in (await evener(tmp_path, "stop")).stderr


async def test_what_a_dead_supervisor_left_can_be_ended_at_once(tmp_path: Path) -> None:
    _, worker = orphan(tmp_path)
    assert (await evener(tmp_path, "stop", "--now")).exit_code == 0
    assert worker.told("stop") and not worker.told("drain")


async def test_a_worker_that_does_not_end_in_its_time_is_told_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene, worker = orphan(tmp_path)
    scene.script.silent.add("drained")
    monkeypatch.setattr(orphans, "SLACK", -30.0)
    assert (await evener(tmp_path, "stop")).exit_code == 0
    assert worker.told("drain") and worker.told("stop")


async def test_reading_changes_nothing_and_changing_needs_its_method(tmp_path: Path) -> None:
    import http.client

    from evener.cli.client import _Connection

    def ask(method: str, path: str) -> int:
        connection = _Connection(tmp_path / "run" / "admin.sock")
        connection.request(method, path)
        answer: http.client.HTTPResponse = connection.getresponse()
        answer.read()
        connection.close()
        return answer.status

    async with instance(tmp_path) as (_, supervisor):
        for path in ("/v1/reload", "/v1/stop"):
            assert await asyncio.to_thread(ask, "GET", path) == 405
        assert supervisor.serving.generation == 1 and not supervisor.stopping


async def test_the_metrics_page_has_a_door_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket
    import urllib.error
    import urllib.request

    monkeypatch.setattr(FakeCounters, "page", "evener_shards 2\n")
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"

    def get(path: str) -> bytes:
        with urllib.request.urlopen(f"http://{address}{path}", timeout=5) as answer:
            found: bytes = answer.read()
            return found

    scene = Scene(tmp_path)
    async with scene.serving() as supervisor:
        door = asyncio.create_task(doors.serve(supervisor))
        scene.source.settings = scene.source.settings._replace(metrics=address)
        assert (await supervisor.reload()).errors == ()
        assert await asyncio.to_thread(get, "/metrics") == b"evener_shards 2\n"
        with pytest.raises(urllib.error.HTTPError) as caught:
            await asyncio.to_thread(get, "/v1/status")
        caught.value.close()
        assert caught.value.code == 404
        scene.source.settings = scene.source.settings._replace(metrics=None)
        await supervisor.reload()
        with pytest.raises(OSError, match=r"refused|reset"):
            async with asyncio.timeout(5):  # the door closes within a turn of the HTTP server
                while await asyncio.to_thread(get, "/metrics"):
                    pass
        door.cancel()
        await asyncio.gather(door, return_exceptions=True)


async def test_without_an_instance_the_exit_code_is_three(tmp_path: Path) -> None:
    for command in (["show", "status"], ["reload"], ["stop"], ["why", "a/b"]):
        missing = await evener(tmp_path, *command)
        assert missing.exit_code == 3 and "no instance is running" in missing.stderr


async def test_a_peer_of_another_user_is_not_admitted() -> None:
    import socket

    one, other = socket.socketpair()
    assert doors.admitted(one, None)
    one.close()
    other.close()

    class Stranger:
        def getsockopt(self, level: int, option: int, size: int) -> bytes:
            return doors._CREDENTIALS.pack(1, 65_533, 65_533)

    stranger: socket.socket = Stranger()  # type: ignore[assignment]  # all that is asked of it
    assert not doors.admitted(stranger, None)
    assert not doors.admitted(stranger, 12)
    assert doors.admitted(stranger, 65_533)


async def test_commands_that_talk_load_nothing_heavy() -> None:
    script = (
        "import sys\n"
        "from click.testing import CliRunner\n"
        "from evener.cli.app import app\n"
        "CliRunner().invoke(app, ['show', 'status', '--run', '/nowhere'])\n"
        "print([name for name in ('asyncio', 'starlette', 'uvicorn', 'rich', 'evener.config',"
        " 'evener.control.supervisor') if name in sys.modules])\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    ran = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env=environment,
        check=True,
    )
    assert ran.stdout == "[]\n"
