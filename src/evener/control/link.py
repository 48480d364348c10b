"""The supervisor's end of the control socket: commands out, answers and events in.

Rules kept here:
- Frames leave in the order of the calls; a frame's descriptors travel with its first byte.
- Each call ends: with its answer, with the worker's errors, or with LinkLostError.
- A hello that differs from our own closes the link before any command is sent.
Not known here: what the commands do.
"""

import asyncio
import errno
import itertools
import math
import socket
from collections.abc import Callable, Sequence
from typing import Any

from evener.control.errors import HelloMismatchError, LinkLostError, ProtocolError, RefusedError
from evener.control.frames import Decoder, Message, encode

#: Seconds until an answer is given up: a control thread does nothing slower than building a
#: plan, which has a bound of 150 ms for 10,000 servers.
ANSWER = 30.0
#: Seconds of one look at whether an answer has come.
LOOK = 1.0
#: Seconds between two tries to reach a worker that is starting; it listens after about 50 ms.
RETRY = 0.002


class Link:
    """A connection to a worker whose hello equals ours. Made by `connect`."""

    def __init__(self, sock: socket.socket, on_event: Callable[[Message], None]) -> None:
        self._socket = sock
        self._on_event = on_event
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Message]] = {}
        self._outgoing: asyncio.Queue[tuple[bytes, Sequence[int]]] = asyncio.Queue()
        self._hello: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._lost: LinkLostError | None = None
        #: Done when the connection has ended, whoever ended it.
        self.lost: asyncio.Future[LinkLostError] = asyncio.get_running_loop().create_future()
        self._tasks = [
            asyncio.create_task(self._write(), name="link writer"),
            asyncio.create_task(self._read(), name="link reader"),
        ]

    @classmethod
    async def connect(
        cls,
        path: str,
        hello: Message,
        on_event: Callable[[Message], None],
        patience: float = 10.0,
        hello_within: float = 10.0,
        any_build: bool = False,
    ) -> "Link":
        """Connects to the worker that listens at `path`.

        Args:
            path: Its control socket.
            hello: Ours, which its own must equal.
            on_event: Takes what the worker says by itself; it must not raise.
            patience: Seconds to wait for somebody to listen there.
            hello_within: Seconds to wait for the hello of who does.
            any_build: Whether another hello is accepted; such a worker only tells and drains.

        Raises:
            LinkLostError: nobody listens there in time, or the connection ended.
            HelloMismatchError: the worker is of another build, schema or layout.
        """
        sock = await _reach(path, patience)
        link = cls(sock, on_event)
        try:
            await link._greet(hello, hello_within, any_build)
        except BaseException:
            await link.close()
            raise
        return link

    def start(self, do: str, fds: Sequence[int] = (), **fields: Any) -> asyncio.Future[Message]:
        """Sends a command now; the future is its answer's `ok`.

        `fds` must stay open until the future is done. The future raises as `call` does.
        """
        number = next(self._ids)
        future: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        if self._lost is not None:
            future.set_exception(self._lost)
            return future
        frame = encode({"id": number, "do": do, **fields}, len(fds))
        self._waiting[number] = future
        self._outgoing.put_nowait((frame, fds))
        return future

    async def call(
        self, do: str, fds: Sequence[int] = (), *, patience: float = ANSWER, **fields: Any
    ) -> Message:
        """Sends a command and waits for its answer.

        Raises:
            RefusedError: the worker answered with errors.
            LinkLostError: the connection ended, or there was no answer within `patience` seconds.
        """
        return await answer_of(self.start(do, fds, **fields), do, patience)

    def say(self, do: str) -> None:
        """Sends a command that has no answer."""
        self.start(do).add_done_callback(_drop)

    async def close(self) -> None:
        """Closes the connection; calls under way end with LinkLostError."""
        self._end(LinkLostError("the control connection was closed"))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._socket.close()

    async def _greet(self, hello: Message, patience: float, any_build: bool) -> None:
        self._outgoing.put_nowait((encode({"hello": hello}), ()))
        try:
            async with asyncio.timeout(patience):
                theirs = await self._hello
        except TimeoutError:
            raise LinkLostError(f"the worker said no hello within {patience:g} s") from None
        if theirs != hello and not any_build:
            raise HelloMismatchError(f"the worker is {theirs}, this supervisor is {hello}")

    async def _write(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while True:
                frame, fds = await self._outgoing.get()
                sent = await _send_first(self._socket, frame, fds) if fds else 0
                await loop.sock_sendall(self._socket, memoryview(frame)[sent:])
        except OSError as error:
            self._end(LinkLostError(f"the worker cannot be written to: {error.strerror}"))

    async def _read(self) -> None:
        loop = asyncio.get_running_loop()
        decoder = Decoder()
        try:
            while piece := await loop.sock_recv(self._socket, 1 << 18):
                for message, _descriptors in decoder.feed(piece):
                    self._take(message)
            self._end(LinkLostError("the worker closed the control connection"))
        except OSError as error:
            self._end(LinkLostError(f"the worker cannot be read from: {error.strerror}"))
        except ProtocolError as error:
            self._end(LinkLostError(f"the worker broke the control protocol: {error}"))

    def _take(self, message: Message) -> None:
        if "event" in message:
            self._on_event(message)
        elif "re" in message:
            self._answer(message)
        elif "hello" in message and not self._hello.done():
            self._hello.set_result(message["hello"])
        else:
            raise ProtocolError(f"a message of no known kind: {sorted(message)}")

    def _answer(self, message: Message) -> None:
        future = self._waiting.pop(message["re"], None)
        if future is None or future.done():
            return
        if errors := message.get("errors"):
            future.set_exception(RefusedError([str(error) for error in errors]))
        else:
            ok = message.get("ok")
            future.set_result(ok if isinstance(ok, dict) else {})

    def _end(self, lost: LinkLostError) -> None:
        if self._lost is not None:
            return
        self._lost = lost
        self.lost.set_result(lost)
        for future in [*self._waiting.values(), self._hello]:
            if not future.done():
                future.set_exception(lost)
                future.exception()  # read here, so that one nobody waits for is not reported
        self._waiting.clear()


async def answer_of(future: asyncio.Future[Message], do: str, patience: float = ANSWER) -> Message:
    """Waits for the answer of a command that was started.

    Looks are counted, not time: who was itself stopped finds the time over and the answer in its
    socket at once, and the worker has done what it was told.
    """
    looks = math.ceil(patience / LOOK)
    try:
        for _ in range(looks):
            # Not `wait_for`: cancelled in the turn in which the answer comes, it forgets that it
            # was.
            await asyncio.wait({future}, timeout=patience / looks)
            if future.done():
                return future.result()
    finally:
        future.cancel()
    raise LinkLostError(f"the worker did not answer {do!r} within {patience:g} s")


async def _reach(path: str, patience: float) -> socket.socket:
    loop = asyncio.get_running_loop()
    end = loop.time() + patience
    while True:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.setblocking(False)
        try:
            await loop.sock_connect(sock, path)
            return sock
        except OSError as error:
            sock.close()
            missing = error.errno in (errno.ENOENT, errno.ECONNREFUSED)
            if not missing or loop.time() >= end:
                raise LinkLostError(f"no worker answers at {path}: {error.strerror}") from error
        except BaseException:
            sock.close()
            raise
        await asyncio.sleep(RETRY)


async def _send_first(sock: socket.socket, frame: bytes, fds: Sequence[int]) -> int:
    while True:
        try:
            return socket.send_fds(sock, [frame], fds)
        except BlockingIOError:
            await _writable(sock)


async def _writable(sock: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_writer(sock, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_writer(sock)


def _drop(future: asyncio.Future[Message]) -> None:
    if not future.cancelled():
        future.exception()
