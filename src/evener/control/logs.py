"""Where words go: the supervisor's own log, and the destination of the access log.

Rules kept here:
- On a terminal short plain lines; elsewhere a full time and the level; under journald its
  level prefix and no time, since it has its own (sd-daemon(3)).
- The supervisor opens log files, the worker only gets descriptors.
Not known here: what is logged.
"""

import logging
import os
import sys
import time
from typing import Any, TextIO, TypeAlias, cast

from evener.control.errors import ControlError

Handler: TypeAlias = "logging.StreamHandler[Any]"
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
_STREAMS = {"stderr": lambda: sys.stderr, "stdout": lambda: sys.stdout}
_PREFIX = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3}


def set_up(level: str, to: str) -> None:
    """Points the log at `to` (`stderr`, `stdout` or a file's path), from `level` upward.

    Called again it replaces what was; a file is opened anew.

    Raises:
        ControlError: the file cannot be opened; the log stays where it was.
    """
    use(level, open_log(to))


def open_log(to: str) -> Handler:
    """Opens `stderr`, `stdout` or a file for the log.

    Raises:
        ControlError: the file cannot be opened.
    """
    handler: Handler
    if to in _STREAMS:
        handler = logging.StreamHandler(_STREAMS[to]())
    else:
        try:
            handler = logging.FileHandler(to, encoding="utf-8")
        except OSError as error:
            raise ControlError(f"evener.log.to: {to}: {error.strerror}") from error
    handler.setFormatter(_formatter(cast(TextIO, handler.stream)))
    return handler


def use(level: str, handler: Handler) -> None:
    """Points the log at what `open_log` gave, from `level` upward."""
    for old in list(LOG.handlers):
        LOG.removeHandler(old)
        if isinstance(old, logging.FileHandler):
            old.close()
    LOG.addHandler(handler)
    LOG.setLevel(_LEVELS[level])
    LOG.propagate = False


def open_access(to: str) -> int:
    """A descriptor for access log lines: `stdout`, `stderr`, or a file's path to append to.

    Raises:
        ControlError: the file cannot be opened.
    """
    if to in _STREAMS:
        return os.dup(1 if to == "stdout" else 2)
    try:
        return os.open(to, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
    except OSError as error:
        raise ControlError(f"evener.log.access.to: {to}: {error.strerror}") from error


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


def _formatter(stream: TextIO) -> logging.Formatter:
    if _is_journal(stream):
        return Journal()
    return Short() if stream.isatty() else Full()


def _is_journal(stream: TextIO) -> bool:
    """Whether JOURNAL_STREAM names this very stream (systemd.exec(5)): device and inode."""
    try:
        facts = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{facts.st_dev}:{facts.st_ino}"


def _text(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    text = record.getMessage()
    return f"{text}\n{formatter.formatException(record.exc_info)}" if record.exc_info else text
