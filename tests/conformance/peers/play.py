"""One case with one seed: the same schedule to the program and to Evener, pick beside pick.

Rules kept here:
- One thing happens at a time: the next begins when the program and Evener have seen the one before.
- The first server never fails and is never the last one out: Evener never ejects the last server
  that takes traffic, nginx does.
"""

from __future__ import annotations

import asyncio
import random
import shutil
import tempfile
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tests.conformance.peers.cases import SERVERS, Case
from tests.conformance.peers.followers import Asked, Instance, Library, Seat, first_of
from tests.conformance.peers.programs import WITHIN, Program, letter
from tests.e2e.rig.places import short_directory

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"


@dataclass
class Held:
    """A request that a server has and has not answered."""

    answers: bool = True
    released: asyncio.Event = field(default_factory=asyncio.Event)
    gone: asyncio.Event = field(default_factory=asyncio.Event)


class Backend:
    """A server that says which request came, and answers when it is told, or closes."""

    def __init__(self, letter: str, came: asyncio.Queue[tuple[int, str]], *, is_left: bool) -> None:
        """`is_left`: the program closes when a request is over; HAProxy waits for the server."""
        self.letter = letter
        self.is_left = is_left
        self.came = came
        self.held: dict[int, Held] = {}

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            line = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"x-op:"))
            number = int(line.split(b":")[1])
            held = self.held[number] = Held()
            await self.came.put((number, self.letter))
            await held.released.wait()
            if held.answers:
                writer.write(ANSWER)
                if self.is_left:
                    await reader.read()
            held.gone.set()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the program looked whether it is there, or was stopped
        finally:
            writer.close()

    def release(self, number: int, *, answers: bool = True) -> Held:
        """Answers a request, or closes its connection without a word."""
        held = self.held.pop(number)
        held.answers = answers
        held.released.set()
        return held


class Play:
    """One case with one seed."""

    def __init__(self, case: Case, seed: int, picks: int, *, engine: bool = False) -> None:
        self.case = case
        self.engine = engine
        self.picks = picks
        self.random = random.Random(seed)
        self.weights = [self.random.randrange(1, 9) for _ in range(SERVERS)]
        self.came: asyncio.Queue[tuple[int, str]] = asyncio.Queue()
        self.is_nginx = case.program == "nginx"
        self.backends = [
            Backend(letter(i), self.came, is_left=self.is_nginx) for i in range(SERVERS)
        ]
        self.open: dict[int, tuple[str, asyncio.StreamWriter, asyncio.Task[bytes]]] = {}
        self.out: set[int] = set()
        self.failing: set[int] = set()
        self.said: list[str] = []
        self.program: Program
        self.follower: Library | Instance

    async def run(self) -> bool:
        """Whether all picks are equal."""
        async with AsyncExitStack() as stack:
            await self.start(stack)
            picked = 0
            while picked < self.picks:
                chance = self.random.random()
                if chance < 0.55 or not self.open:
                    if not await self.pick(picked):
                        return False
                    picked += 1
                elif chance < 0.9 or not (self.case.outages or self.case.fails):
                    await self.release(self.random.choice(list(self.open)))
                elif self.case.fails:
                    await self.fail_or_recover(chance)
                elif chance < 0.95 and self.case.weights:
                    await self.weigh(self.random.randrange(SERVERS), self.random.randrange(12))
                else:
                    await self.take_out_or_back(self.random.randrange(SERVERS))
        return True

    async def start(self, stack: AsyncExitStack) -> None:
        ports = []
        for backend in self.backends:
            server = await asyncio.start_server(backend.handle, "127.0.0.1", 0)
            stack.callback(server.close)
            ports.append(server.sockets[0].getsockname()[1])
        home = Path(tempfile.mkdtemp())
        stack.callback(shutil.rmtree, home, ignore_errors=True)
        self.program = Program(self.case, home)
        await self.program.start(self.weights, ports)
        stack.push_async_callback(self.stop)
        place = stack.enter_context(short_directory())
        self.follower = Instance(place, self.backends, self.came) if self.engine else Library()
        stack.push_async_callback(self.follower.stop)
        await self.follower.start(self.case, [self.seat(i, port) for i, port in enumerate(ports)])

    def seat(self, server: int, port: int) -> Seat:
        return Seat(
            address=f"127.0.0.1:{port}",
            weight=self.weights[server],
            most=self.case.limits[server],
            tier=int(server in self.case.backups),
            is_out=server in self.case.down,
        )

    async def stop(self) -> None:
        for backend in self.backends:
            for number in list(backend.held):
                backend.release(number)
        await asyncio.sleep(0.05)
        await self.program.stop()

    async def pick(self, number: int) -> bool:
        """Opens a request; whether both picked the same."""
        theirs, ours = await self.request(number)
        self.said.append(f"{number}: {theirs}")
        if theirs != ours:
            print(f"  {' '.join(self.said[-30:])}, ours {ours}", flush=True)
            return False
        if theirs != "-" and ord(theirs) - 97 in self.failing:
            await self.release(number)
        return True

    async def request(self, number: int) -> tuple[str, str]:
        """Whom the program picked, and whom we do; `-` is nobody."""
        key = f"k{self.random.randrange(100_000)}"
        client = ".".join(["127", *(str(self.random.randrange(1, 250)) for _ in range(3))])
        asked = Asked(client, key, is_session=self.case.tcp)
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.program.port, local_addr=(client, 0)
        )
        writer.write(asked.sent(number))
        came = asyncio.create_task(self.came.get())
        answer = asyncio.create_task(reader.read())
        await first_of(came, answer)
        theirs = "-"
        if came.done():
            _, theirs = came.result()
            self.open[number] = (theirs, writer, answer)
        else:
            came.cancel()
            self.judge_refusal(answer)
            writer.close()
        return theirs, await self.follower.opened(number, asked)

    def judge_refusal(self, answer: asyncio.Task[bytes]) -> None:
        """Nobody was picked only where the program says so."""
        said = answer.result() if answer.done() else b"nothing for a minute"
        refusal = b"" if self.case.tcp else b"HTTP/1.1 502" if self.is_nginx else b"HTTP/1.1 503"
        if said[: len(refusal) or None] != refusal:
            raise RuntimeError(f"{self.case.program} after {' '.join(self.said[-9:])}: {said!r}")

    async def release(self, number: int) -> None:
        """Ends a request; a failing server closes without an answer."""
        server, writer, answer = self.open.pop(number)
        place = ord(server) - 97
        works = place not in self.failing
        held = self.backends[place].release(number, answers=works)
        await answer
        writer.close()
        await held.gone.wait()
        await asyncio.sleep(0.003)  # HAProxy frees its stream a moment later
        await self.follower.ended(number, works=works)
        self.said.append(f"{'end' if works else 'failure'} {number}")

    async def fail_or_recover(self, chance: float) -> None:
        """Time passes, or a server begins or ceases to fail."""
        if chance < 0.93:
            seconds = self.random.choice((1, 2, WITHIN + 1))
            # A running Evener has no clock but the real one, in which only a long wait is exact.
            if not self.engine or seconds > WITHIN:
                self.program.wait(seconds)
                await self.follower.wait(seconds)
                self.said.append(f"{seconds} s")
            return
        server = self.random.randrange(1, SERVERS)
        self.failing ^= {server}
        self.said.append(f"{letter(server)} {'fails' if server in self.failing else 'works'}")

    async def weigh(self, server: int, weight: int) -> None:
        await self.program.weigh(server, weight)
        await self.follower.weighs(server, weight)
        self.said.append(f"{letter(server)} weighs {weight}")

    async def take_out_or_back(self, server: int) -> None:
        if server not in self.out and len(self.out) == SERVERS - 1:
            return
        self.out ^= {server}
        is_out = server in self.out
        await self.program.take_out_or_back(server, is_out)
        await asyncio.sleep(0.02)
        await self.follower.is_out(server, is_out)
        self.said.append(f"{letter(server)} {'out' if is_out else 'back'}")
