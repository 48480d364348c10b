"""`make demo` comes out as told, with a terminal and without, and leaves nothing behind."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from .rig.processes import Process
from .rig.waiting import eventually

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, str(ROOT / "examples" / "demo" / "demo.py")]


def environment(home: Path) -> dict[str, str]:
    """With a temporary directory of its own, by which its processes are known."""
    names = ("PATH", "HOME", "LANG")
    ours = {name: os.environ[name] for name in names if name in os.environ}
    return {**ours, "TMPDIR": str(home), "PYTHONUTF8": "1"}


def left_of(home: Path) -> list[str]:
    """The processes of a demo that still run: TMPDIR is in the environment of each."""
    mark = f"TMPDIR={home}".encode()
    found = []
    for each in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if each.name.isdigit() and mark in (each / "environ").read_bytes().split(b"\0"):
                found.append((each / "cmdline").read_bytes().replace(b"\0", b" ").decode())
    return found


@pytest.fixture
def clean(home: Path) -> Iterator[None]:
    """The test ends without a process or a file of the demo's."""
    yield
    eventually(lambda: not left_of(home), what=f"all ended: {left_of(home)}")
    assert list(home.glob("evener-demo-*")) == []


def no_wider_than_80(text: str) -> bool:
    return all(len(line) <= 80 for line in text.splitlines())


@pytest.mark.usefixtures("clean")
def test_it_comes_out_as_told_without_a_terminal(home: Path, ends: ExitStack) -> None:
    demo = Process("demo", COMMAND, home, environment(home))
    ends.callback(demo.end)
    assert demo.ended(55.0) == 0, demo.words()
    told = demo.output()
    assert demo.words() == ""
    assert "\x1b" not in told
    assert no_wider_than_80(told)
    assert len(re.findall(r"(?m)^   (?:alpha|beta|gamma|delta) ", told)) == 3 + 3 + 3 + 4
    asked = [int(number) for number in re.findall(r"0 of (\d+) requests failed", told)]
    assert len(asked) == 2 and asked[1] > asked[0] > 100
    assert re.search(r"app/beta is (down|ejected) since .*\n +Reason: .*refused", told)
    assert "plan 2 serves: 3 servers kept, 1 added, 0 removed" in told


@pytest.mark.usefixtures("clean")
def test_on_a_terminal_its_bars_move_in_place(home: Path) -> None:
    ours, theirs = pty.openpty()
    demo = subprocess.Popen(
        COMMAND,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**environment(home), "TERM": "xterm", "COLUMNS": "80", "LINES": "24"},
        start_new_session=True,
    )
    os.close(theirs)
    try:
        told = _read(ours, "3  beta is started again", 40.0)
        assert "\x1b[3A" in told and "\x1b[32m" in told
        assert no_wider_than_80(re.sub(r"\x1b\[\d*[A-Za-z]", "", told))
    finally:
        demo.send_signal(signal.SIGTERM)
        demo.wait(20)
        os.close(ours)
    assert demo.returncode == 130


@pytest.mark.usefixtures("clean")
@pytest.mark.parametrize("act", ["1  ", "2  "])
def test_an_interrupt_leaves_nothing_running(home: Path, ends: ExitStack, act: str) -> None:
    demo = Process("demo", COMMAND, home, environment(home))
    ends.callback(demo.end)
    eventually(lambda: f"\n{act}" in demo.output(), 30.0, f"act {act}: {demo.words()}")
    assert len(left_of(home)) >= 4  # the demo, Evener's two and the servers
    demo.signal(signal.SIGINT)
    assert demo.ended() == 130
    assert "interrupted" in demo.words()
    assert "Traceback" not in demo.words()


@pytest.mark.usefixtures("clean")
def test_what_does_not_come_out_as_told_is_a_failure(home: Path, ends: ExitStack) -> None:
    lame = home / "lame"
    lame.mkdir()
    for source in (ROOT / "examples" / "demo").glob("*.py"):
        text = source.read_text()
        if source.name == "server.py":
            text = text.replace(
                "send_response(200)", "send_response(200 + 303 * (b'/0/9' in body))"
            )
        (lame / source.name).write_text(text)
    demo = Process("demo", [sys.executable, str(lame / "demo.py")], home, environment(home))
    ends.callback(demo.end)
    assert demo.ended(40.0) == 1
    assert re.search(r"demo: \d+ of \d+ requests failed, the first: /0/9", demo.words())


def _read(terminal: int, until: str, within: float) -> str:
    """What a terminal shows, up to a word."""
    told, end = b"", time.monotonic() + within
    while until.encode() not in told:
        left = end - time.monotonic()
        ready, _, _ = select.select([terminal], [], [], max(left, 0))
        assert ready, f"not within {within:g} s: {until!r} in {told.decode()}"
        try:
            told += os.read(terminal, 65536)
        except OSError as error:
            raise AssertionError(f"it ended: {told.decode()}") from error
    return told.decode()
