"""Host names of servers → addresses, asked again every 30 s.

Rules kept here:
- A name that does not resolve never stops a start, and never takes away an earlier answer.
- A slow name server holds up nothing: each name is asked in a thread of its own that the end
  of the process does not wait for, at most sixteen at once.
- Answers are sorted: a name server that rotates its answers changes nothing.
Not known here: what the addresses are used for.
"""

import asyncio
import contextlib
import functools
import socket
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

#: Seconds between two rounds.
EVERY = 30.0
#: Seconds a start or a reload waits for names it has no answer for yet.
PATIENCE = 3.0
#: Names asked at the same time.
AT_ONCE = 16

Lookup = Callable[[str], list[str]]


def lookup(name: str) -> list[str]:
    """The addresses of a name, by the system's resolver. `localhost` is 127.0.0.1."""
    if name == "localhost":
        return ["127.0.0.1"]
    found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


class Resolver:
    """The last answer for each name that is used."""

    def __init__(self, ask: Lookup = lookup) -> None:
        self._ask = ask
        self._answers: dict[str, tuple[str, ...]] = {}
        self._asking: dict[str, asyncio.Task[None]] = {}
        self._turn = asyncio.Semaphore(AT_ONCE)
        self.failures: dict[str, str] = {}

    def answers(self) -> Mapping[str, tuple[str, ...]]:
        """Name → addresses; a name without an answer is missing."""
        return dict(self._answers)

    @property
    def pending(self) -> bool:
        """Whether some name is still being asked."""
        return bool(self._asking)

    async def resolve(self, names: Iterable[str], patience: float = PATIENCE) -> None:
        """Asks all `names` anew; returns when all answered, or too late."""
        wanted = set(names)
        for name in wanted - set(self._asking):
            self._asking[name] = asyncio.create_task(self._one(name), name=f"resolve {name}")
        if under_way := [self._asking[name] for name in wanted]:
            await asyncio.wait(under_way, timeout=patience)
        for name in wanted & set(self._asking):
            self.failures.setdefault(name, f"no answer within {patience:g} s")

    def keep_only(self, names: Iterable[str]) -> None:
        """Forgets all others: the names of what is served, whatever a reload has asked for."""
        wanted = set(names)
        self._answers = {name: self._answers[name] for name in wanted & set(self._answers)}
        self.failures = {name: self.failures[name] for name in wanted & set(self.failures)}

    def close(self) -> None:
        """Waits for nothing more."""
        for task in self._asking.values():
            task.cancel()

    async def _one(self, name: str) -> None:
        try:
            async with self._turn:
                found = await in_thread(lambda: self._ask(name))
        except OSError as error:
            self.failures[name] = error.strerror or str(error)
        except UnicodeError:
            self.failures[name] = "not a host name"
        else:
            self._answers[name] = tuple(sorted(set(found)))
            self.failures.pop(name, None)
        finally:
            # In the same step as the answer: who looks meanwhile sees both or neither.
            self._asking.pop(name, None)


_T = TypeVar("_T")


async def in_thread(work: Callable[[], _T]) -> _T:
    """Runs `work` in a daemon thread: unlike an executor's, nobody waits for it at the end."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[_T] = loop.create_future()

    def settle(done: Callable[[], None]) -> None:
        if not future.done():
            done()

    def run() -> None:
        try:
            result = work()
        except Exception as error:
            outcome = functools.partial(future.set_exception, error)
        else:
            outcome = functools.partial(future.set_result, result)
        with contextlib.suppress(RuntimeError):  # the loop has been closed: nobody asks any more
            loop.call_soon_threadsafe(settle, outcome)

    threading.Thread(target=run, daemon=True).start()
    return await future
