"""The supervisor's end of the control socket, against a scripted worker."""

import asyncio
import os
import socket
import time
from pathlib import Path

import pytest

from evener.control import link as module
from evener.control.errors import HelloMismatchError, LinkLostError, RefusedError
from evener.control.frames import Message
from evener.control.link import Link, answer_of

from .fake_worker import HELLO, Script
from .scene import until

pytestmark = pytest.mark.asyncio


async def connected(tmp_path: Path, script: Script, events: list[Message]) -> Link:
    script.spawn(tmp_path / "w.sock", False)
    return await Link.connect(str(tmp_path / "w.sock"), HELLO, events.append)


async def test_answers_come_to_their_calls(tmp_path: Path) -> None:
    script = Script()
    link = await connected(tmp_path, script, [])
    assert await link.call("tickets", keys=["aa"]) == {}
    assert (await link.call("status"))["uptime_ms"] == 5
    assert script.worker.heard[0] == {"hello": HELLO}
    assert [message["do"] for message in script.worker.heard[1:]] == ["tickets", "status"]
    await link.close()
    script.worker.kill()


async def test_who_waits_for_an_answer_can_be_cancelled_in_the_turn_in_which_it_comes() -> None:
    answer: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
    waiting = asyncio.create_task(answer_of(answer, "drain"))
    await asyncio.sleep(0)
    answer.set_result({})
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_who_was_stopped_itself_takes_the_answer_that_came_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK", 0.02)
    script = Script()
    script.silent.add("plan")
    link = await connected(tmp_path, script, [])
    call = asyncio.create_task(link.call("plan", plan={}, patience=0.1))
    await until(lambda: script.worker.told("plan"))
    (told,) = script.worker.told("plan")
    script.worker._send({"re": told["id"], "ok": {"generation": 2}})
    time.sleep(0.2)  # noqa: ASYNC251  # stands for a SIGSTOP of this process
    assert await call == {"generation": 2}
    await link.close()
    script.worker.kill()


async def test_errors_are_raised_line_by_line(tmp_path: Path) -> None:
    script = Script()
    script.refuse["plan"] = ["pools.app: no servers", "listeners.web: no such pool"]
    link = await connected(tmp_path, script, [])
    with pytest.raises(RefusedError) as caught:
        await link.call("plan", plan={})
    assert caught.value.lines == ("pools.app: no servers", "listeners.web: no such pool")
    await link.close()
    script.worker.kill()


async def test_descriptors_arrive_in_order(tmp_path: Path) -> None:
    script = Script()
    link = await connected(tmp_path, script, [])
    one, other = os.pipe()
    await link.call("sockets", [one, other], sockets=[{"address": "a"}, {"address": "b"}])
    copies = script.worker.descriptors
    os.write(copies[1], b"through")
    assert os.read(one, 7) == b"through"
    os.close(one)
    os.close(other)
    await link.close()
    script.worker.kill()


async def test_a_message_larger_than_the_sockets_buffer_arrives_whole(tmp_path: Path) -> None:
    script = Script()
    link = await connected(tmp_path, script, [])
    with socket.socket() as some:
        text = "x" * (4 << 20)
        await link.call("secrets", [some.fileno()], secrets={"a": text})
    assert script.worker.heard[1]["secrets"] == {"a": text}
    assert len(script.worker.descriptors) == 1
    await link.close()
    script.worker.kill()


async def test_events_are_passed_on(tmp_path: Path) -> None:
    script, events = Script(), list[Message]()
    link = await connected(tmp_path, script, events)
    script.worker.say("log", level="info", text="words")
    await link.call("facts_that_do_not_exist")
    assert events == [{"event": "log", "level": "info", "text": "words"}]
    await link.close()
    script.worker.kill()


async def test_calls_under_way_end_with_the_link(tmp_path: Path) -> None:
    script = Script()
    script.silent.add("plan")
    link = await connected(tmp_path, script, [])
    waiting = link.start("plan", plan={})
    await link.call("status")
    script.worker.die()
    with pytest.raises(LinkLostError, match="closed"):
        await waiting
    with pytest.raises(LinkLostError):
        await link.call("status")
    await link.close()


async def test_a_worker_that_does_not_answer_is_given_up(tmp_path: Path) -> None:
    script = Script()
    script.silent.add("plan")
    link = await connected(tmp_path, script, [])
    with pytest.raises(LinkLostError, match="did not answer 'plan' within"):
        await link.call("plan", plan={}, patience=0.01)
    await link.close()
    script.worker.kill()


async def test_another_build_is_told_nothing(tmp_path: Path) -> None:
    script = Script()
    script.hello = {**HELLO, "build": "other"}
    with pytest.raises(HelloMismatchError, match="other"):
        await connected(tmp_path, script, [])
    assert [message for message in script.worker.heard if "do" in message] == []
    script.worker.kill()


async def test_nobody_at_the_path_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(LinkLostError, match=r"no worker answers at .*w\.sock"):
        await Link.connect(str(tmp_path / "w.sock"), HELLO, lambda _: None, 0.0)


async def test_a_worker_that_breaks_the_protocol_loses_the_link(tmp_path: Path) -> None:
    script = Script()
    link = await connected(tmp_path, script, [])
    script.worker._send({"neither": "event nor answer"})
    assert "broke the control protocol" in str(await link.lost)
    await link.close()
    script.worker.kill()
