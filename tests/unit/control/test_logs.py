"""Where words go, and how they look there."""

import logging
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from evener.control import log_writer, logs, systemd
from evener.control.errors import ControlError


def record(level: int = logging.WARNING) -> logging.LogRecord:
    return logging.LogRecord("evener", level, "", 0, "app/a is %s", ("down",), None)


def test_a_terminal_gets_short_lines() -> None:
    assert re.fullmatch(r"\d\d:\d\d:\d\d warning: app/a is down", logs.Short().format(record()))
    assert re.fullmatch(r"\d\d:\d\d:\d\d app/a is down", logs.Short().format(record(logging.INFO)))


def test_a_file_gets_the_whole_time() -> None:
    line = logs.Full().format(record())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4} warning app/a is down", line)


def test_the_journal_gets_its_prefix_on_each_line() -> None:
    both = logging.LogRecord("evener", logging.ERROR, "", 0, "one\ntwo", (), None)
    assert logs.Journal().format(both) == "<3>one\n<3>two"


def test_the_journal_is_known_by_its_stream(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (tmp_path / "journal").open("w") as stream:
        facts = os.fstat(stream.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{facts.st_dev}:{facts.st_ino}")
        assert isinstance(logs._formatter(stream.fileno()), logs.Journal)
        monkeypatch.setenv("JOURNAL_STREAM", "1:1")
        assert isinstance(logs._formatter(stream.fileno()), logs.Full)


def test_a_log_that_cannot_be_opened_leaves_the_old_one(tmp_path: Path) -> None:
    logs.set_up("info", str(tmp_path / "a.log"))
    with pytest.raises(ControlError, match=r"evener\.log\.to: .*b\.log: No such file"):
        logs.set_up("info", str(tmp_path / "none" / "b.log"))
    logs.LOG.info("still here")
    logs.set_up("info", "stderr")
    log_writer.finish()
    assert "still here" in (tmp_path / "a.log").read_text()


def test_a_log_opened_anew_loses_no_line(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    logs.set_up("info", str(path))
    logs.LOG.info("before")
    path.rename(tmp_path / "old.log")
    logs.set_up("info", str(path))
    logs.LOG.info("after")
    log_writer.finish()
    logs.set_up("info", "stderr")
    assert (tmp_path / "old.log").read_text().endswith("info before\n")
    assert path.read_text().endswith("info after\n")


def test_a_stream_has_one_writer_that_nothing_but_another_destination_ends(tmp_path: Path) -> None:
    logs.set_up("info", "stderr")
    (writer,) = logs.LOG.handlers
    logs.set_up("error", "stderr")
    logs.discard(logs.open_log("stderr"))
    assert logs.LOG.handlers == [writer] and logs.LOG.level == logging.ERROR
    assert isinstance(writer, log_writer.Writer)
    os.fstat(writer._descriptor)  # it is open
    logs.set_up("info", str(tmp_path / "a.log"))
    logs.set_up("info", "stderr")
    assert logs.LOG.handlers != [writer]


@pytest.mark.parametrize("opened", [logs.open_log, logs.open_access])
def test_a_pipe_without_a_reader_is_an_error_and_no_wait(
    tmp_path: Path, opened: Callable[[str], object]
) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ControlError, match="pipe is a pipe that nobody reads") as caught:
        opened(str(tmp_path / "pipe"))
    assert caught.value.remedy == "start who reads it first, or name a file"


def test_libraries_warn_in_the_same_log(tmp_path: Path) -> None:
    logs.set_up("info", str(tmp_path / "a.log"))
    assert logging.lastResort is logs.LOG.handlers[0]
    logs.set_up("info", "stderr")


def test_systemd_is_told_where_it_listens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert not systemd.notify("READY=1")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        assert systemd.notify("READY=1", "STATUS=serving")
        assert sock.recv(100) == b"READY=1\nSTATUS=serving"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(f"\0evener-test-{os.getpid()}")
        monkeypatch.setenv("NOTIFY_SOCKET", f"@evener-test-{os.getpid()}")
        assert systemd.notify("STOPPING=1")
        assert sock.recv(100) == b"STOPPING=1"
