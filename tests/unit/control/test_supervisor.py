"""The supervisor's course, against a scripted worker: PROCESS.md row by row."""

import asyncio
import errno
import json
import logging
import os
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from evener.control import deaths, keeper, segments, upkeep
from evener.control import supervisor as module
from evener.control.errors import (
    BindError,
    CertificateError,
    ConfigRefusedError,
    ControlError,
    InstanceError,
    StartError,
)
from evener.control.frames import Message, encode
from evener.control.instance import RunDirectory
from evener.control.logs import LOG

from .fake_worker import HELLO, FakeWorker
from .scene import FakeCounters, FakeLoaded, Scene, bind, server, until

pytestmark = pytest.mark.asyncio


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


@pytest.fixture
def log() -> Iterator[list[str]]:
    """What the supervisor logs. Its own set-up replaces handlers, so a filter listens."""
    said: list[str] = []

    def keep(record: logging.LogRecord) -> bool:
        said.append(record.getMessage())
        return True

    LOG.addFilter(keep)
    yield said
    LOG.removeFilter(keep)


async def die_and_be_replaced(scene: Scene, supervisor: module.Supervisor, life: int) -> None:
    scene.script.worker.die()
    await until(lambda: len(scene.script.lives) == life + 1 and supervisor.keeper.life)


def admins(plan: Message) -> dict[str, str]:
    return {each["id"]: each["admin"] for each in plan["pools"][0]["servers"]}


# start


async def test_a_start_tells_the_worker_everything_in_order(scene: Scene) -> None:
    async with scene.serving():
        worker = scene.script.worker
        do = [message.get("do") for message in worker.heard[1:]]
        assert do == ["shards", "tickets", "sockets", "health", "plan", "facts"]
        assert worker.told("shards")[0]["count"] == 2
        assert len(worker.descriptors) == 2 + 1 + 2  # segments, the prober's, sockets
        assert worker.told("sockets")[0]["sockets"] == [
            {"address": "127.0.0.1:0", "shard": 0},
            {"address": "127.0.0.1:0", "shard": 1},
        ]
        assert worker.plan["generation"] == 1


async def test_an_instance_says_who_it_is(scene: Scene) -> None:
    async with scene.serving():
        said = json.loads((scene.run / "instance.json").read_text())
        assert said["config"] == scene.source.path
        assert said["pid"] == os.getpid() and said["worker"] == scene.script.worker.pid
    assert sorted(path.name for path in scene.run.iterdir()) == ["lock"]


async def test_a_second_run_is_an_error_that_names_the_first(scene: Scene) -> None:
    async with scene.serving():
        with pytest.raises(InstanceError, match=rf"already running in .*pid {os.getpid()}"):
            await scene.supervisor().start()


async def test_a_taken_address_starts_nothing(scene: Scene) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        scene.source.binds = (bind("127.0.0.1:0"), bind(f"127.0.0.1:{port}"))
        with pytest.raises(BindError):
            await scene.supervisor().start()
    assert scene.script.lives == []
    assert not (scene.run / "admin.sock").exists()


async def test_a_plan_that_kills_the_first_worker_is_tried_twice(scene: Scene) -> None:
    scene.script.deadly["plan"] = lambda _: True
    with pytest.raises(ControlError):
        await scene.supervisor().start()
    assert len(scene.script.lives) == 2


async def test_a_worker_that_ends_before_hello_is_said_so(scene: Scene) -> None:
    scene.script.stillborn = True
    with pytest.raises(StartError, match="exit code 1 before it said hello"):
        await scene.supervisor().start()


async def test_a_wrong_file_starts_nothing(scene: Scene) -> None:
    scene.source.wrong = ["evener.yaml:1:1: found x"]
    with pytest.raises(ConfigRefusedError):
        await scene.supervisor().start()
    assert not scene.run.exists()


# reload


async def test_a_reload_gives_a_new_generation(scene: Scene) -> None:
    async with scene.serving() as supervisor:
        scene.source.servers.append(server("10.0.0.3:80"))
        outcome = await supervisor.reload()
        assert outcome.errors == () and outcome.answer["generation"] == 2
        assert len(scene.script.worker.plan["pools"][0]["servers"]) == 3
        assert len(scene.script.lives) == 1


async def test_a_log_that_cannot_be_opened_leaves_the_old_plan(scene: Scene) -> None:
    async with scene.serving() as supervisor:
        nowhere = str(scene.run.parent / "none" / "a.log")
        scene.source.settings = scene.source.settings._replace(log_to=nowhere)
        outcome = await supervisor.reload()
        assert outcome.errors == (f"evener.log.to: {nowhere}: No such file or directory",)
        assert len(scene.script.worker.told("plan")) == 1


async def test_a_wrong_file_leaves_the_old_plan(scene: Scene) -> None:
    async with scene.serving() as supervisor:
        scene.source.wrong = ["line 1", "line 2"]
        outcome = await supervisor.reload()
        assert outcome.errors == ("line 1", "line 2")
        assert supervisor.failed is outcome
        assert len(scene.script.worker.told("plan")) == 1
        scene.source.wrong = []
        await supervisor.reload()
        assert supervisor.failed is None


async def test_a_plan_the_worker_refuses_closes_what_was_opened_for_it(scene: Scene) -> None:
    async with scene.serving() as supervisor:
        scene.script.refuse["plan"] = ["pools.app: no"]
        scene.source.binds += (bind("127.0.0.2:0"),)
        outcome = await supervisor.reload()
        assert outcome.errors == ("pools.app: no",)
        assert list(supervisor.keeper.listening.addresses()) == ["127.0.0.1:0"]
        assert supervisor.serving.generation == 1


async def test_only_new_sockets_are_handed_over_and_old_ones_close(scene: Scene) -> None:
    async with scene.serving() as supervisor:
        scene.source.binds = (bind("127.0.0.2:0"),)
        await supervisor.reload()
        handed = scene.script.worker.told("sockets")[1]["sockets"]
        assert {each["address"] for each in handed} == {"127.0.0.2:0"}
        assert list(supervisor.keeper.listening.addresses()) == ["127.0.0.2:0"]


async def test_an_address_that_a_wider_one_covers_is_let_go_by_a_plan_of_its_own(
    scene: Scene,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    narrow, wide = f"127.0.0.1:{port}", f"0.0.0.0:{port}"
    scene.source.binds = (bind(narrow),)
    async with scene.serving() as supervisor:
        scene.source.binds = (bind(wide),)
        outcome = await supervisor.reload()
        assert outcome.errors == () and outcome.answer["generation"] == 3
        plans = [message["plan"] for message in scene.script.worker.told("plan")]
        assert [each["listeners"][0]["bind"] for each in plans] == [
            [narrow],
            [wide, narrow],
            [wide],
        ]
        assert list(supervisor.keeper.listening.addresses()) == [wide]
        assert supervisor.serving.generation == 3


async def test_a_worker_that_dies_between_both_plans_of_a_wider_address_is_no_failure(
    scene: Scene,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    scene.source.binds = (bind(f"127.0.0.1:{port}"),)
    async with scene.serving() as supervisor:
        scene.source.binds = (bind(f"0.0.0.0:{port}"),)
        scene.script.deadly["plan"] = lambda message: message["plan"]["generation"] == 3
        outcome = await supervisor.reload()
        assert outcome.errors == () and outcome.answer["generation"] == 2
        await until(lambda: len(scene.script.lives) == 2 and supervisor.keeper.life)
        assert scene.script.worker.plan["listeners"][0]["bind"] == [f"0.0.0.0:{port}"]


async def test_a_plan_with_a_wider_address_that_is_refused_changes_nothing(scene: Scene) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    scene.source.binds = (bind(f"127.0.0.1:{port}"),)
    async with scene.serving() as supervisor:
        scene.source.binds = (bind(f"0.0.0.0:{port}"),)
        scene.script.refuse["plan"] = ["no"]
        assert (await supervisor.reload()).errors == ("no",)
        assert list(supervisor.keeper.listening.addresses()) == [f"127.0.0.1:{port}"]


async def test_what_a_running_worker_cannot_change_is_refused(scene: Scene) -> None:
    async with scene.serving() as supervisor:
        scene.source.settings = scene.source.settings._replace(shards=3)
        outcome = await supervisor.reload()
        assert outcome.errors[0].startswith("evener.yaml:2:1: evener.shards: 2 cannot become 3")
        assert "stop and start" in outcome.errors[1]


async def test_an_admin_socket_is_not_moved_by_a_reload(scene: Scene) -> None:
    async with scene.serving() as supervisor:
        before = scene.source.settings
        scene.source.settings = before._replace(admin=str(scene.run / "other.sock"))
        outcome = await supervisor.reload()
        own = f"unix:{scene.run}/admin.sock"
        assert f"evener.admin.bind: {own} cannot become" in outcome.errors[0]
        scene.source.settings = before._replace(admin=str(scene.run / "admin.sock"))
        assert (await supervisor.reload()).errors == (), "written out, and the same"


async def test_a_fault_of_reading_fails_a_reload_and_ends_nothing(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    def faulty() -> None:
        raise ValueError("not foreseen")

    async with scene.serving() as supervisor:
        with monkeypatch.context() as patch:
            patch.setattr(scene.source, "load", faulty)
            outcome = await supervisor.reload()
            assert "ValueError: not foreseen" in outcome.errors[0]
            supervisor.ask_reload()
            await until(lambda: supervisor.reloads["failed"] == 2)
        assert (await supervisor.reload()).answer["generation"] == 2


async def test_reloads_at_once_wait_for_each_other(scene: Scene) -> None:
    async with scene.serving() as supervisor:
        outcomes = await asyncio.gather(*(supervisor.reload() for _ in range(5)))
        assert [each.answer["generation"] for each in outcomes] == [2, 3, 4, 5, 6]


async def test_a_reload_that_kills_the_worker_fails_and_the_old_plan_serves(scene: Scene) -> None:
    async with scene.serving() as supervisor:
        scene.script.deadly["plan"] = lambda message: (
            len(message["plan"]["pools"][0]["servers"]) == 3
        )
        scene.source.servers = [*scene.source.servers, server("10.0.0.3:80")]
        outcome = await supervisor.reload()
        assert outcome.errors
        await until(lambda: len(scene.script.lives) == 2 and supervisor.keeper.life)
        assert len(scene.script.worker.plan["pools"][0]["servers"]) == 2


async def test_a_worker_that_dies_once_a_plan_serves_is_followed_by_one_with_that_plan(
    scene: Scene,
) -> None:
    async with scene.serving() as supervisor:
        scene.source.binds = (*scene.source.binds, bind("127.0.0.2:0"))
        scene.script.deadly["facts"] = lambda _: len(scene.script.lives) == 1
        assert (await supervisor.reload()).errors == ()
        await until(lambda: len(scene.script.lives) == 2 and supervisor.keeper.life)
        (web,) = scene.script.worker.plan["listeners"]
        assert web["bind"] == ["127.0.0.1:0", "127.0.0.2:0"]


async def test_the_access_log_follows_the_file(scene: Scene, tmp_path: Path) -> None:
    scene.source.settings = scene.source.settings._replace(access_to=str(tmp_path / "one.log"))
    async with scene.serving() as supervisor:
        os.write(scene.script.worker.descriptors[3], b"line 1\n")
        (tmp_path / "one.log").rename(tmp_path / "old.log")
        supervisor.ask_reopen()
        await until(lambda: len(scene.script.worker.told("log")) == 2)
        os.write(scene.script.worker.descriptors[-1], b"line 2\n")
        scene.source.settings = scene.source.settings._replace(access_to=str(tmp_path))
        outcome = await supervisor.reload()
        assert "evener.log.access.to" in outcome.errors[0]
    assert (tmp_path / "old.log").read_text() == "line 1\n"
    assert (tmp_path / "one.log").read_text() == "line 2\n"


async def test_a_log_that_the_worker_cannot_change_over_to_fails_no_reload(
    scene: Scene, log: list[str], tmp_path: Path
) -> None:
    first, second = tmp_path / "access.log", tmp_path / "second.log"
    scene.source.settings = scene.source.settings._replace(access_to=str(first))
    async with scene.serving() as supervisor:
        scene.source.settings = scene.source.settings._replace(access_to=str(second))
        scene.script.refuse["log"] = ["the log's writer hangs in its old destination"]
        assert (await supervisor.reload()).errors == ()
        assert any("until the next worker: the log's writer hangs" in line for line in log)
        assert (await supervisor.reload()).errors == ()


# worker dies, stalls


async def test_a_dead_worker_is_replaced_on_the_same_sockets(scene: Scene) -> None:
    async with scene.serving() as supervisor:
        first = scene.script.worker
        bound = supervisor.keeper.listening.addresses()
        died = time.monotonic()
        first.die()
        await until(lambda: len(scene.script.lives) == 2 and supervisor.keeper.life)
        assert time.monotonic() - died < deaths.FIRST_PAUSE / 2
        assert supervisor.keeper.listening.addresses() == bound
        assert scene.script.worker.told("sockets") == first.told("sockets")
        assert scene.script.worker.plan == first.plan
        assert supervisor.keeper.record.deaths == 1
        assert len(supervisor.keeper.segments.retired) == 3


async def test_an_event_behind_the_answer_to_facts_is_not_undone_by_it(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both arrive in one piece: the event is taken at once, the answer when its asker runs."""
    send = FakeWorker._send

    def send_both(worker: FakeWorker, message: Message) -> None:
        if "servers" not in message.get("ok", {}):
            return send(worker, message)
        down = {**message["ok"]["servers"][0], "state": "down", "reason": "refused"}
        both = encode(message) + encode({"event": "health", **down})
        worker._connections[-1].send(both)
        return None

    monkeypatch.setattr(FakeWorker, "_send", send_both)
    async with scene.serving() as supervisor:
        assert supervisor.keeper.health["app", "10.0.0.1:80"]["state"] == "down"
        assert supervisor.keeper.health["app", "10.0.0.2:80"]["state"] == "up"


async def test_the_next_worker_knows_the_last_ones_health(scene: Scene) -> None:
    async with scene.serving() as supervisor:
        first = scene.script.worker
        down = {**first.health["app", "10.0.0.1:80"], "state": "down", "reason": "refused"}
        first.say("health", **down)
        await until(lambda: supervisor.keeper.health["app", "10.0.0.1:80"]["state"] == "down")
        first.die()
        await until(lambda: len(scene.script.lives) == 2 and supervisor.keeper.life)
        seeded = {each["server"]: each for each in scene.script.worker.told("health")[0]["servers"]}
        assert seeded["10.0.0.1:80"] == down


async def test_a_plan_that_kills_two_workers_gives_way_to_the_previous(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, log: list[str]
) -> None:
    async with scene.serving() as supervisor:
        monkeypatch.setattr(keeper, "SOON", 0.0)  # the first plan has lived long enough
        scene.source.servers = [server("10.0.0.9:80")]
        await supervisor.reload()
        monkeypatch.setattr(keeper, "SOON", 5.0)
        for life in (1, 2):
            await die_and_be_replaced(scene, supervisor, life)
        assert list(admins(scene.script.worker.plan)) == ["10.0.0.1:80", "10.0.0.2:80"]
        assert scene.script.worker.plan["generation"] == 3
        assert "killed two workers" in supervisor.keeper.record.fallen_back
        await supervisor.weigh("app", "10.0.0.1:80", 5)
        assert supervisor.keeper.record.fallen_back, "the file still says something else"
        scene.source.servers = [server("10.0.0.8:80")]
        await supervisor.reload()
        assert supervisor.keeper.record.fallen_back == ""


async def test_a_return_to_the_previous_plan_stands_though_its_first_worker_comes_to_nothing(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with scene.serving() as supervisor:
        monkeypatch.setattr(keeper, "SOON", 0.0)
        scene.source.servers = [server("10.0.0.9:80")]
        scene.source.binds = (bind("127.0.0.2:0"),)
        await supervisor.reload()
        monkeypatch.setattr(keeper, "SOON", 5.0)
        await die_and_be_replaced(scene, supervisor, 1)
        scene.script.deadly["shards"] = lambda _: len(scene.script.lives) == 3
        scene.script.worker.die()
        await until(lambda: len(scene.script.lives) == 4 and supervisor.keeper.life)
        assert list(admins(scene.script.worker.plan)) == ["10.0.0.1:80", "10.0.0.2:80"]
        assert scene.script.worker.plan["listeners"][0]["bind"] == ["127.0.0.1:0"]


async def test_what_is_open_is_known_after_a_return_to_the_previous_plan(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        metrics = f"127.0.0.1:{free.getsockname()[1]}"
    async with scene.serving() as supervisor:
        monkeypatch.setattr(keeper, "SOON", 0.0)
        scene.source.settings = scene.source.settings._replace(metrics=metrics)
        await supervisor.reload()
        monkeypatch.setattr(keeper, "SOON", 5.0)
        for life in (1, 2):
            await die_and_be_replaced(scene, supervisor, life)
        assert supervisor.keeper.record.fallen_back
        assert (await supervisor.reload()).errors == ()


async def test_five_deaths_bring_a_pause_that_a_reload_ends(scene: Scene) -> None:
    async with scene.serving() as supervisor:
        for life in range(1, 5):
            await die_and_be_replaced(scene, supervisor, life)
        scene.script.worker.die()
        await until(lambda: supervisor.keeper.record.paused)
        assert supervisor.keeper.record.paused == 1.0 and supervisor.keeper.life is None
        with pytest.raises(ControlError, match="no worker is serving"):
            await supervisor.keeper.tell("status")
        assert await supervisor.status() == {}
        outcome = await supervisor.reload()
        assert outcome.errors == () and supervisor.keeper.life is not None


async def test_a_reload_does_not_make_a_worker_young(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deaths, "FIRST_PAUSE", 0.2)
    async with scene.serving() as supervisor:
        for life in range(1, 6):
            await die_and_be_replaced(scene, supervisor, life)
        supervisor.keeper._born -= 3600.0
        await supervisor.reload()
        died = time.monotonic()
        await die_and_be_replaced(scene, supervisor, 6)
        assert time.monotonic() - died < 2 * deaths.FIRST_PAUSE, "the next pause is longer"


async def test_a_worker_that_hangs_is_replaced_and_where_is_logged(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, log: list[str]
) -> None:
    monkeypatch.setattr(upkeep, "LOOK", 0.002)
    monkeypatch.setattr(FakeCounters, "still", True)
    async with scene.serving() as supervisor:
        await until(lambda: len(scene.script.lives) == 2 and supervisor.keeper.life)
        monkeypatch.setattr(FakeCounters, "still", False)
    assert any("shard 0, 1 does not turn" in line for line in log)
    assert any(line.startswith(f"thread {os.getpid()}") for line in log)


async def test_a_worker_is_replaced_though_the_run_directory_is_gone(
    scene: Scene, log: list[str]
) -> None:
    async with scene.serving() as supervisor:
        shutil.rmtree(scene.run)
        await die_and_be_replaced(scene, supervisor, 1)
        assert {each.name for each in scene.run.iterdir()} >= {"lock", "worker-2.sock"}
        with pytest.raises(InstanceError, match="already running"):
            await scene.supervisor().start()


async def test_a_worker_is_replaced_though_nothing_can_be_written(
    scene: Scene, log: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    async with scene.serving() as supervisor:
        monkeypatch.setattr(RunDirectory, "write", full)
        await die_and_be_replaced(scene, supervisor, 1)
        assert f"cannot write {scene.run}/instance.json: No space left on device" in log


async def test_a_worker_that_cannot_be_started_for_want_of_descriptors_is_tried_again(
    scene: Scene, log: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[int] = []

    def memory(name: str) -> int:
        begun.append(1)
        if len(begun) == 2:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return os.memfd_create(name)

    async with scene.serving() as supervisor:
        monkeypatch.setattr(segments, "_memory", memory)
        await die_and_be_replaced(scene, supervisor, 1)
        assert any("Too many open files" in line for line in log)
        assert len(supervisor.keeper.segments.retired) == 3, "of the first life only"


async def test_counters_that_cannot_be_read_at_a_death_are_read_later(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    async with scene.serving() as supervisor:
        with monkeypatch.context() as short:
            short.setattr(FakeCounters, "__init__", full)
            await die_and_be_replaced(scene, supervisor, 1)
            assert supervisor.read_counters() is None
        assert supervisor.read_counters() is not None
        assert supervisor.view() is not None


async def test_a_lost_link_is_made_anew(scene: Scene) -> None:
    async with scene.serving() as supervisor:
        scene.script.worker.cut_links()
        await asyncio.wait_for(asyncio.sleep(keeper.ENDING), 2)
        await until(lambda: supervisor.keeper.life and not supervisor.keeper.life.link.lost.done())
        assert (await supervisor.status())["uptime_ms"] == 5
        assert len(scene.script.lives) == 1


# what the worker says


async def test_what_changed_while_the_link_was_lost_is_asked_for(scene: Scene) -> None:
    async with scene.serving() as supervisor:
        scene.script.worker.cut_links()
        scene.script.worker.health["app", "10.0.0.1:80"]["state"] = "down"
        await until(lambda: supervisor.keeper.health["app", "10.0.0.1:80"]["state"] == "down")


async def test_a_plan_of_which_the_answer_was_lost_is_not_in_the_way_of_the_next(
    scene: Scene,
) -> None:
    async with scene.serving() as supervisor:
        scene.script.silent.add("plan")
        reload = asyncio.create_task(supervisor.reload())
        await until(lambda: len(scene.script.worker.told("plan")) == 2)
        scene.script.worker.cut_links()
        assert (await reload).errors != ()
        scene.script.silent.clear()
        life = supervisor.keeper.life
        assert life is not None
        await until(lambda: not life.link.lost.done())
        assert (await supervisor.reload()).errors == ()
        generations = [each["plan"]["generation"] for each in scene.script.worker.told("plan")]
        assert generations == [1, 2, 3]


async def test_a_warning_about_a_server_is_logged_with_what_to_do_and_kept(
    scene: Scene, log: list[str]
) -> None:
    async with scene.serving() as supervisor:
        words = {"level": "warning", "text": "TLS: invalid peer certificate: UnknownIssuer"}
        for name in ("10.0.0.1:80", "10.0.0.9:80"):
            scene.script.worker.say("log", pool="app", server=name, **words)
        await until(lambda: any("app/10.0.0.9:80: TLS" in line for line in log))
        assert any(line.endswith("as the pool's `tls.ca`)") for line in log), log
        assert set(supervisor.warnings) == {("app", "10.0.0.1:80")}, "one that nobody knows"
        assert supervisor.warnings["app", "10.0.0.1:80"].text == words["text"]
        scene.source.servers = [server("10.0.0.2:80")]
        scene.script.worker.health.pop(("app", "10.0.0.1:80"), None)
        await supervisor.reload()
        assert supervisor.warnings == {}


async def test_a_servers_words_are_one_line_that_no_terminal_obeys(
    scene: Scene, log: list[str]
) -> None:
    async with scene.serving() as supervisor:
        said = "PHP message: \x1b[2J\n2026-11-28T00:00:00+0000 info stopped é"
        scene.script.worker.say("log", pool="app", server="10.0.0.1:80", level="warning", text=said)
        await until(lambda: supervisor.warnings)
        shown = r"PHP message: \x1b[2J\n2026-11-28T00:00:00+0000 info stopped é"
        assert supervisor.warnings["app", "10.0.0.1:80"].text == shown
        assert any(line.endswith(f"app/10.0.0.1:80: {shown}") for line in log), log


# people's words


async def test_a_word_reaches_the_worker_and_the_next_one(scene: Scene) -> None:
    async with scene.serving() as supervisor:
        facts = await supervisor.say("app", "10.0.0.1:80", "drain")
        assert facts["admin"] == "drain"
        scene.script.worker.die()
        await until(lambda: len(scene.script.lives) == 2 and supervisor.keeper.life)
        assert admins(scene.script.worker.plan)["10.0.0.1:80"] == "drain"
        await supervisor.reload()
        assert admins(scene.script.worker.plan)["10.0.0.1:80"] == "drain"
        scene.source.servers = [server("10.0.0.1:80", "maint"), server("10.0.0.2:80")]
        await supervisor.reload()
        assert admins(scene.script.worker.plan)["10.0.0.1:80"] == "maint"
        assert len(supervisor.words) == 0


async def test_a_word_said_to_one_instance_is_not_said_to_another(scene: Scene) -> None:
    async with scene.serving() as supervisor:
        await supervisor.say("app", "10.0.0.2:80", "drain")
    first, scene.run = scene.run, scene.run.with_name("second")
    async with scene.serving() as supervisor:
        assert admins(scene.script.worker.plan)["10.0.0.2:80"] == "ready"
        await supervisor.say("app", "10.0.0.1:80", "drain")
    scene.run = first
    async with scene.serving():
        assert admins(scene.script.worker.plan) == {"10.0.0.1:80": "ready", "10.0.0.2:80": "drain"}


async def test_words_follow_the_state_directory_of_a_reload(scene: Scene) -> None:
    async with scene.serving() as supervisor:
        await supervisor.say("app", "10.0.0.2:80", "drain")
        before = scene.source.settings
        (scene.run.parent / "file").write_text("no directory")
        scene.source.settings = before._replace(state=str(scene.run.parent / "file"))
        assert "cannot keep this over a restart" in (await supervisor.reload()).errors[0]
        scene.source.settings = before._replace(state=str(scene.run.parent / "elsewhere"))
        assert (await supervisor.reload()).errors == ()
    async with scene.serving():
        assert admins(scene.script.worker.plan)["10.0.0.2:80"] == "drain"
    scene.source.settings = before
    async with scene.serving():
        assert admins(scene.script.worker.plan)["10.0.0.2:80"] == "ready"


async def test_a_state_directory_that_cannot_be_written_is_said_at_the_start(
    scene: Scene, log: list[str]
) -> None:
    (scene.run.parent / "state").write_text("no directory")
    async with scene.serving():
        assert any(
            line.startswith("evener.state: ") and "cannot be written" in line for line in log
        )


async def test_words_stay_where_they_were_when_a_reload_fails(scene: Scene) -> None:
    async with scene.serving() as supervisor:
        await supervisor.say("app", "10.0.0.2:80", "drain")
        before = scene.source.settings
        scene.source.settings = before._replace(state=str(scene.run.parent / "elsewhere"))
        scene.script.refuse["plan"] = ["no such thing"]
        assert (await supervisor.reload()).errors != ()
        scene.script.refuse.clear()
    scene.source.settings = before
    async with scene.serving():
        assert admins(scene.script.worker.plan)["10.0.0.2:80"] == "drain"


async def test_a_quick_instance_forgets_its_words(scene: Scene) -> None:
    async with scene.serving(tied=True) as supervisor:
        await supervisor.say("app", "10.0.0.2:80", "drain")
    async with scene.serving(tied=True) as supervisor:
        assert admins(scene.script.worker.plan)["10.0.0.2:80"] == "ready"
        await supervisor.say("app", "10.0.0.2:80", "drain")
    assert not scene.run.exists()


async def test_a_word_outlives_the_supervisor(scene: Scene) -> None:
    async with scene.serving() as supervisor:
        await supervisor.say("app", "10.0.0.2:80", "drain")
    async with scene.serving():
        assert admins(scene.script.worker.plan)["10.0.0.2:80"] == "drain"


# names


async def following(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> tuple[module.Supervisor, list[str]]:
    """A supervisor of a plan with the name `web`, looked up all the time, and its addresses."""
    monkeypatch.setattr(module, "LOOK", 0.002)
    monkeypatch.setattr(module, "EVERY", 0.002)
    answers = ["10.1.0.1"]
    scene.source.hosts = frozenset({"web"})
    supervisor = scene.supervisor()
    supervisor._resolver._ask = lambda name: list(answers)
    await supervisor.start()
    return supervisor, answers


async def test_names_become_servers_and_changes_a_new_generation(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    supervisor, answers = await following(scene, monkeypatch)
    running = asyncio.create_task(supervisor.run())
    assert "web:80@10.1.0.1:80" in admins(scene.script.worker.plan)
    answers[:] = ["10.1.0.2", "10.1.0.1"]
    await until(lambda: "web:80@10.1.0.2:80" in admins(scene.script.worker.plan))
    assert scene.script.worker.plan["generation"] == 2

    def fails(name: str) -> list[str]:
        raise OSError(-2, "Name or service not known")

    supervisor._resolver._ask = fails
    await until(lambda: supervisor.unresolved)
    assert supervisor.unresolved == {"web": "Name or service not known"}
    assert len(admins(scene.script.worker.plan)) == 4
    supervisor.ask_stop()
    await running


async def test_a_reload_that_fails_forgets_no_name_of_the_plan_that_serves_on(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK", 0.002)
    scene.source.hosts = frozenset({"web"})
    supervisor = scene.supervisor()
    supervisor._resolver._ask = lambda name: [] if name == "new" else ["10.1.0.1"]
    await supervisor.start()
    running = asyncio.create_task(supervisor.run())
    scene.source.hosts, scene.script.refuse["plan"] = frozenset({"new"}), ["no such thing"]
    assert (await supervisor.reload()).errors != ()
    scene.script.refuse.clear()
    await asyncio.sleep(0.05)
    assert "web:80@10.1.0.1:80" in admins(scene.script.worker.plan)
    assert set(supervisor._resolver.answers()) == {"web"}
    supervisor.ask_stop()
    await running


async def test_a_file_that_was_refused_is_told_of_until_one_is_served(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    supervisor, answers = await following(scene, monkeypatch)
    running = asyncio.create_task(supervisor.run())
    scene.source.wrong = ["evener.yaml:3:1: no such key"]
    assert (await supervisor.reload()).errors != ()
    answers[:] = ["10.1.0.2"]
    await until(lambda: "web:80@10.1.0.2:80" in admins(scene.script.worker.plan))
    await until(lambda: supervisor.last and supervisor.last.cause == "names")
    failed = supervisor.failed
    assert failed is not None and failed.cause == "reload"
    scene.source.wrong = []
    assert (await supervisor.reload()).errors == ()
    assert supervisor.failed is None
    supervisor.ask_stop()
    await running


async def test_new_addresses_are_served_though_a_certificate_is_gone_from_the_disk(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    supervisor, answers = await following(scene, monkeypatch)
    running = asyncio.create_task(supervisor.run())

    def gone(_: object) -> dict[str, str]:
        raise CertificateError(["evener.yaml:1:1: no such file"])

    monkeypatch.setattr(module, "read_secrets", gone)
    answers[:] = ["10.1.0.2"]
    await until(lambda: "web:80@10.1.0.2:80" in admins(scene.script.worker.plan))
    supervisor.ask_stop()
    await running


async def test_addresses_that_could_not_be_served_are_tried_again(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    supervisor, answers = await following(scene, monkeypatch)
    running = asyncio.create_task(supervisor.run())
    scene.script.refuse["plan"] = ["not just now"]
    answers[:] = ["10.1.0.2"]
    await until(lambda: supervisor.failed)
    scene.script.refuse.clear()
    await until(lambda: "web:80@10.1.0.2:80" in admins(scene.script.worker.plan))
    supervisor.ask_stop()
    await running


# stop


async def test_a_stop_drains_and_leaves_nothing(scene: Scene, log: list[str]) -> None:
    supervisor = scene.supervisor()
    await supervisor.start()
    (bound,) = supervisor.keeper.listening.addresses().values()
    running = asyncio.create_task(supervisor.run())
    await asyncio.sleep(0)
    supervisor.ask_stop()
    assert await running == 0
    (drain,) = scene.script.worker.told("drain")
    assert drain["requests_ms"] == 1000 and drain["tunnels_ms"] == 1000
    assert "stopped; nothing was cut" in log
    host, port = bound.split(":")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)), 1)


async def test_what_time_cut_is_counted(scene: Scene, log: list[str]) -> None:
    scene.script.cut = 3
    supervisor = scene.supervisor()
    await supervisor.start()
    supervisor.ask_stop()
    assert await supervisor.run() == 3
    assert "stopped; time cut 3 connections" in log


async def test_a_second_stop_ends_at_once(scene: Scene) -> None:
    scene.script.silent.add("drained")
    supervisor = scene.supervisor()
    await supervisor.start()
    running = asyncio.create_task(supervisor.run())
    supervisor.ask_stop()
    await until(lambda: scene.script.worker.told("drain"))
    assert not running.done()
    supervisor.ask_stop()
    await asyncio.wait_for(running, 1)
    assert scene.script.worker.told("stop")


async def test_a_reload_that_a_stop_overtakes_opens_and_starts_nothing(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    supervisor = scene.supervisor()
    await supervisor.start()
    running = asyncio.create_task(supervisor.run())
    read, load = threading.Event(), scene.source.load

    def slow() -> FakeLoaded:
        read.wait(5)
        return load()

    monkeypatch.setattr(scene.source, "load", slow)
    reload = asyncio.create_task(supervisor.reload())
    await asyncio.sleep(0)
    supervisor.ask_stop()
    await running
    read.set()
    assert (await reload).errors == ("the instance is stopping",)
    assert len(scene.script.lives) == 1 and not supervisor.keeper.listening.addresses()


# an earlier supervisor's worker


async def test_a_worker_left_behind_serves_until_the_new_one_does(scene: Scene) -> None:
    scene.run.mkdir(mode=0o700)
    old = scene.script.spawn(scene.run / "worker-7.sock", False)
    plan = scene.source.load().compile({}).plan
    old._do_plan({"plan": {**plan, "generation": 5}})
    old.health["app", "10.0.0.1:80"]["state"] = "down"
    async with scene.serving() as supervisor:
        new = scene.script.worker
        assert new is not old and old.told("drain")
        seeded = {each["server"]: each["state"] for each in new.told("health")[0]["servers"]}
        assert seeded["10.0.0.1:80"] == "down"
        assert supervisor.keeper.life is not None


async def test_a_start_that_fails_leaves_a_worker_of_before_to_be_found(scene: Scene) -> None:
    scene.run.mkdir(mode=0o700)
    old = scene.script.spawn(scene.run / "worker-7.sock", False)
    (scene.run / "instance.json").write_text("{}")
    scene.script.stillborn = True
    with pytest.raises(StartError):
        await scene.supervisor().start()
    assert {each.name for each in scene.run.iterdir()} == {"instance.json", "lock", "worker-7.sock"}
    scene.script.stillborn = False
    async with scene.serving():
        assert old.told("drain")


async def test_a_worker_of_another_build_is_drained_too(scene: Scene) -> None:
    scene.run.mkdir(mode=0o700)
    old = scene.script.spawn(scene.run / "worker-3.sock", False)
    old.hello = {**HELLO, "build": "older"}
    async with scene.serving():
        assert old.told("drain") and not old.told("plan")


async def test_a_fault_of_the_supervisor_leaves_the_worker_to_be_found(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    supervisor = scene.supervisor()
    await supervisor.start()
    monkeypatch.setattr(upkeep, "LOOK", 0.001)

    def broken(counters: FakeCounters) -> list[int]:
        raise ZeroDivisionError

    monkeypatch.setattr(FakeCounters, "stamps", broken)
    with pytest.raises(ExceptionGroup):
        await supervisor.run()
    old = scene.script.worker
    assert not old.ended.done()
    monkeypatch.undo()
    async with scene.serving():
        assert old.told("drain")
