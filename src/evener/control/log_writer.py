"""Write the log from a thread, so that whoever logs never waits for who reads.

Rules kept here:
- A terminal that is held (Ctrl-S), a pipe that nobody reads or a slow disk stops this thread and
  nothing else. What waits for it is bounded; lines beyond that are dropped and counted.
- Lines are written in the order in which they were said. Where some are missing a line says so,
  as soon as lines are written again.
- A writer that is closed writes what it holds, then closes its descriptor.
- In a forked child each writer begins anew: what waited is its parent's to write.
Not known here: what a line looks like, and what is logged.
"""

import logging
import os
import select
import threading
from collections import deque
from typing import NamedTuple
from weakref import WeakSet

#: Bytes that may wait for one destination: some ten thousand lines.
ROOM = 1 << 20
#: Seconds that the end of the process waits for what is still to be written.
PATIENCE = 1.0


class _Shared:
    """What all writers of the process share."""

    def __init__(self) -> None:
        self.writers: WeakSet[Writer] = WeakSet()
        #: Guards what writers hold, and the count; never held while something is written.
        self.turn = threading.Condition()
        self.lost = 0


_shared = _Shared()


def lost() -> int:
    """Lines that this process could not write so far."""
    return _shared.lost


def finish(patience: float = PATIENCE) -> None:
    """Waits until all that was said is written, `patience` seconds at most."""
    with _shared.turn:
        _shared.turn.wait_for(lambda: not any(each.busy for each in _shared.writers), patience)


class _Line(NamedTuple):
    """A line to write; `missing` is how many lines it says are lost, 0 for one that was said."""

    text: bytes
    missing: int = 0


class Writer(logging.Handler):
    """A logging handler whose lines a thread writes to `descriptor`, which it owns."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._closing = False
        self.renew()
        _shared.writers.add(self)

    def renew(self) -> None:
        """Begins anew, without what it held and without a thread."""
        self._lines: deque[_Line] = deque()
        self._held = 0  # bytes; what is just being written is among them
        self._missing = 0
        self._flows = True
        self._writes = False

    @property
    def busy(self) -> bool:
        """Whether something is still to be written that can be."""
        return self._held > 0 or (self._missing > 0 and self._flows)

    def emit(self, record: logging.LogRecord) -> None:
        """Takes a line; waits for nothing."""
        line = _Line(self._bytes(record))
        with _shared.turn:
            if not self._take(line):
                self._lose(line)
            elif not self._writes:
                self._writes = True
                threading.Thread(target=self._write, name="log writer", daemon=True).start()
            _shared.turn.notify_all()

    def close(self) -> None:
        """Takes no more; what it holds is still written, and nobody waits for that here."""
        super().close()
        with _shared.turn:
            if not self._closing and not self._writes:
                os.close(self._descriptor)
            self._closing = True
            _shared.turn.notify_all()

    def _take(self, line: _Line) -> bool:
        """Queues a line, behind one about those that are missing before it."""
        lines = [self._gap(), line] if self._missing else [line]
        size = sum(len(each.text) for each in lines)
        # A line longer than all the room is taken when nothing else waits.
        if self._closing or (self._held and self._held + size > ROOM):
            return False
        self._lines += lines
        self._held += size
        self._missing = 0
        return True

    def _gap(self) -> _Line:
        number = self._missing
        what = "1 line of this log" if number == 1 else f"{number} lines of this log"
        said = f"{what} could not be written and {'is' if number == 1 else 'are'} lost"
        record = logging.LogRecord(
            "evener", logging.WARNING, __file__, 0, said, args=None, exc_info=None
        )
        return _Line(self._bytes(record), number)

    def _bytes(self, record: logging.LogRecord) -> bytes:
        return f"{self.format(record)}\n".encode(errors="backslashreplace")

    def _lose(self, line: _Line) -> None:
        self._missing += line.missing or 1
        _shared.lost += 0 if line.missing else 1

    def _write(self) -> None:
        """The thread: it ends when the writer is closed and has written all."""
        while (line := self._next()) is not None:
            written = _write_whole(self._descriptor, line.text)
            with _shared.turn:
                self._held -= len(line.text)
                self._flows = written
                if not written:
                    self._lose(line)
                _shared.turn.notify_all()
        os.close(self._descriptor)

    def _next(self) -> _Line | None:
        with _shared.turn:
            _shared.turn.wait_for(lambda: self._lines or self.busy or self._closing)
            if self._lines:
                return self._lines.popleft()
            if not self.busy:
                return None
            gap, self._missing = self._gap(), 0
            self._held += len(gap.text)
            return gap


def _write_whole(descriptor: int, text: bytes) -> bool:
    """Writes all of it, however long that takes; False if it cannot be written."""
    rest = memoryview(text)
    while rest:
        try:
            rest = rest[os.write(descriptor, rest) :]
        except BlockingIOError:  # somebody with whom the stream is shared has set it so
            room = select.poll()
            room.register(descriptor, select.POLLOUT)
            room.poll()
        except OSError:
            return False
    return True


def _forked() -> None:
    _shared.turn = threading.Condition()
    for writer in _shared.writers:
        writer.renew()


os.register_at_fork(after_in_child=_forked)
