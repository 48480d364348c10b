"""Where words go: the supervisor's own log, and the destination of the access log.

Rules kept here:
- On a terminal short plain lines; elsewhere a full time and the level; under journald its
  level prefix and no time, since it has its own (sd-daemon(3)).
- The supervisor opens log files, the worker only gets descriptors.
- Whoever logs never waits for who reads: a thread writes (`log_writer`).
Not known here: what is logged.
"""

import errno
import logging
import os
import time
from pathlib import Path

from evener.control.errors import ControlError
from evener.control.log_writer import Writer

LOG = logging.getLogger("evener")


def level_of(word: str) -> int:
    """logging's number of a level's word; a word nobody knows is a warning."""
    return _LEVELS.get(word, logging.WARNING)


_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
_STREAMS = {"stderr": 2, "stdout": 1}
_PREFIX = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3}


def fill_streams() -> None:
    """Opens what we were started without of stdin, stdout and stderr: it swallows all.

    Else the next thing that is opened has that number, and what a worker says in its last moment,
    or the access log to `stdout`, is written into a client's connection or a file of ours.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= max(_STREAMS.values()):
        os.set_inheritable(descriptor, True)
    os.close(descriptor)


def set_up(level: str, to: str) -> None:
    """Points the log at `to` (`stderr`, `stdout` or a file's path), from `level` upward.

    Called again it replaces what was; a file is opened anew.

    Raises:
        ControlError: the file cannot be opened; the log stays where it was.
    """
    use(level, open_log(to))


def open_log(to: str) -> Writer:
    """Opens `stderr`, `stdout` or a file for the log.

    A stream that the log goes to is what it is: two writers would mix its lines up.

    Raises:
        ControlError: the file cannot be opened.
    """
    if (current := _current()) is not None and to == current.name and to in _STREAMS:
        return current
    descriptor = _own(to) if to in _STREAMS else _open(to, "evener.log.to", 0o666)
    writer = Writer(descriptor)
    writer.setFormatter(_formatter(descriptor))
    writer.set_name(to)
    return writer


def use(level: str, writer: Writer) -> None:
    """Points the log at what `open_log` gave, from `level` upward.

    What waits for the old destination is still written there.
    """
    for old in list(LOG.handlers):
        LOG.removeHandler(old)
        if old is not writer:
            old.close()
    LOG.addHandler(writer)
    LOG.setLevel(_LEVELS[level])
    LOG.propagate = False
    # Libraries' warnings, which Python else writes to stderr itself and waits for.
    logging.lastResort = writer


def discard(writer: Writer) -> None:
    """Closes what `open_log` gave and nothing came of."""
    if writer is not _current():
        writer.close()


def _current() -> Writer | None:
    return next((each for each in LOG.handlers if isinstance(each, Writer)), None)


def open_access(to: str) -> int:
    """A descriptor for access log lines: `stdout`, `stderr`, or a file's path to append to.

    Raises:
        ControlError: the file cannot be opened.
    """
    if to in _STREAMS:
        return os.dup(_STREAMS[to])
    return _open(to, "evener.log.access.to", 0o640)


def _own(stream: str) -> int:
    """A descriptor of our own for a stream."""
    return os.dup(_STREAMS[stream])


def _open(path: str, key: str, mode: int) -> int:
    try:
        # Not to wait for the reader of a pipe (fifo(7)): one without is an error.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
        descriptor = os.open(path, flags, mode)
    except OSError as error:
        if error.errno == errno.ENXIO and Path(path).is_fifo():
            remedy = "start who reads it first, or name a file"
            raise ControlError(f"{key}: {path} is a pipe that nobody reads", remedy) from error
        raise ControlError(f"{key}: {path}: {error.strerror}") from error
    os.set_blocking(descriptor, True)
    return descriptor


class Short(logging.Formatter):
    """Time of day and the words; the level only where it is worth a look."""

    def format(self, record: logging.LogRecord) -> str:
        """One record as its line."""
        clock = time.strftime("%H:%M:%S", time.localtime(record.created))
        level = f"{record.levelname.lower()}: " if record.levelno > logging.INFO else ""
        return f"{clock} {level}{_text(self, record)}"


class Full(logging.Formatter):
    """Date and time with zone, the level, the words: for files and collectors."""

    def format(self, record: logging.LogRecord) -> str:
        """One record as its line."""
        clock = time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(record.created))
        return f"{clock} {record.levelname.lower()} {_text(self, record)}"


class Journal(logging.Formatter):
    """journald's level prefix on each line, no time."""

    def format(self, record: logging.LogRecord) -> str:
        """One record as its line."""
        prefix = f"<{_PREFIX.get(record.levelno, 6)}>"
        return "\n".join(prefix + line for line in _text(self, record).split("\n"))


def _formatter(descriptor: int) -> logging.Formatter:
    if _is_journal(descriptor):
        return Journal()
    return Short() if os.isatty(descriptor) else Full()


def _is_journal(descriptor: int) -> bool:
    """Whether JOURNAL_STREAM names this very stream (systemd.exec(5)): device and inode."""
    facts = os.fstat(descriptor)
    return os.environ.get("JOURNAL_STREAM") == f"{facts.st_dev}:{facts.st_ino}"


def _text(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    text = record.getMessage()
    return f"{text}\n{formatter.formatException(record.exc_info)}" if record.exc_info else text
