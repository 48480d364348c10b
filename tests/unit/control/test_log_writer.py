"""Whoever logs never waits: a thread writes, what does not fit is dropped, counted and said."""

import fcntl
import json
import logging
import os
import threading
import warnings
from collections.abc import Iterator

import pytest

from evener.control import log_writer
from evener.control.log_writer import Writer
from evener.control.own_lines import WithOwnLines

from .scene import FakeCounters


class Pipe:
    """A pipe that is full, with a writer at one end."""

    def __init__(self) -> None:
        self.reader, end = os.pipe()
        size = fcntl.fcntl(end, fcntl.F_SETPIPE_SZ, 4096)
        os.write(end, b"-" * size)
        self.size = size
        self.writer = Writer(end)

    def say(self, text: str) -> None:
        self.writer.emit(logging.LogRecord("evener", logging.INFO, "", 0, text, None, None))

    def read(self) -> list[str]:
        """All lines that come until the writer has closed its end."""
        self.writer.close()
        with os.fdopen(self.reader, "rb") as stream:
            return stream.read()[self.size :].decode().splitlines()


@pytest.fixture(autouse=True)
def nothing_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_writer._shared, "lost", 0)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe()
    yield made
    made.writer.close()


def test_nobody_waits_for_a_reader_and_the_order_stays(pipe: Pipe) -> None:
    said = [f"line {number}" for number in range(1000)]
    for line in said:
        pipe.say(line)
    assert log_writer.lost() == 0
    assert pipe.read() == said


def test_what_does_not_fit_is_dropped_counted_and_said_in_its_place(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_writer, "ROOM", 200)
    for number in range(10):
        pipe.say(f"{number}" * 49)
    assert log_writer.lost() == 6
    # Room for one more, and so for the line about those that are missing, comes with a reader.
    os.read(pipe.reader, pipe.size)
    log_writer.finish()
    pipe.say("flows again")
    pipe.size = 0
    lines = pipe.read()
    assert [line[0] for line in lines[:4]] == ["0", "1", "2", "3"]
    assert lines[4:] == ["6 lines of this log could not be written and are lost", "flows again"]


def test_a_line_longer_than_all_the_room_is_taken_alone(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_writer, "ROOM", 10)
    pipe.say("much longer than that")
    pipe.say("b")
    assert log_writer.lost() == 1
    assert pipe.read()[0] == "much longer than that"


def test_the_end_waits_for_what_is_said_but_not_for_ever(pipe: Pipe) -> None:
    pipe.say("still held")
    log_writer.finish(0.01)
    reading = threading.Timer(0.01, os.read, (pipe.reader, pipe.size))
    reading.start()
    log_writer.finish(10)
    reading.join()
    pipe.size = 0
    os.set_blocking(pipe.reader, False)
    assert os.read(pipe.reader, 100) == b"still held\n"


def test_a_destination_that_fails_is_counted_and_no_error() -> None:
    full = Writer(os.open("/dev/full", os.O_WRONLY))
    for _ in range(2):
        full.emit(logging.LogRecord("evener", logging.INFO, "", 0, "a", None, None))
        log_writer.finish()
    full.close()
    assert log_writer.lost() == 2


def test_a_stream_that_somebody_set_to_not_block_is_waited_for(pipe: Pipe) -> None:
    os.set_blocking(pipe.writer._descriptor, False)
    pipe.say("patient")
    assert pipe.read() == ["patient"]


def test_a_forked_child_writes_its_own_lines_and_not_its_parents(pipe: Pipe) -> None:
    pipe.say("parent")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a process with threads forks is what is tested
        child = os.fork()
    if child == 0:
        pipe.say("child")
        log_writer.finish(10)
        os._exit(0)
    text = b""
    while text.count(b"\n") < 2:
        text += os.read(pipe.reader, 100)
    assert os.waitpid(child, 0)[1] == 0
    assert sorted(text.lstrip(b"-").split()) == [b"child", b"parent"]


def test_lost_lines_are_among_the_counters(monkeypatch: pytest.MonkeyPatch) -> None:
    metric = 'evener_log_lines_lost_total{log="event"}'
    monkeypatch.setattr(FakeCounters, "page", f"# HELP a\n{metric} 2\nb 1\n")
    counters = WithOwnLines(FakeCounters([], []))
    assert counters.totals() == "{}" and counters.prometheus({}) == FakeCounters.page
    monkeypatch.setattr(log_writer._shared, "lost", 3)
    assert json.loads(counters.totals())["worker"][0]["values"] == {metric: 3}
    of_worker = {"names": [], "values": {metric: 2, "c": 1}, "histograms": {}}
    monkeypatch.setattr(FakeCounters, "numbers", {"worker": [of_worker]})
    assert json.loads(counters.totals())["worker"][0]["values"] == {metric: 5, "c": 1}
    assert counters.prometheus({}) == f"# HELP a\n{metric} 5\nb 1\n"
