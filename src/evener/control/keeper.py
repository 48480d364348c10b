"""Keep a worker serving: begin its life, replace it when it dies or hangs, change its plan.

Rules kept here (PROCESS.md, "worker dies", "worker stalls"):
- A change and a death exclude each other; a death during a change fails the change.
- A new worker gets the same sockets, the last health and people's words as they are now.
- A plan is one to go back to once a worker has lived with it for five seconds.
Not known here: where plans come from.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from evener.control import logs
from evener.control.deaths import SOON, Deaths
from evener.control.errors import (
    BindError,
    ControlError,
    HelloMismatchError,
    InstanceError,
    LinkLostError,
    RefusedError,
    StartError,
)
from evener.control.frames import Message
from evener.control.instance import RunDirectory
from evener.control.life import Life, Orders, first_of
from evener.control.segments import Segments
from evener.control.serving import Serving, reachable
from evener.control.sockets import Group, Listening
from evener.control.source import Plan
from evener.control.tickets import TicketKeys
from evener.control.worker_process import Spawn

LOG = logs.LOG

#: What a life that comes to nothing raises; OSError: no descriptors, no memory, no directory.
FAILURES = (
    StartError,
    LinkLostError,
    RefusedError,
    HelloMismatchError,
    InstanceError,
    OSError,
)
#: Seconds given to a process whose link has ended to show that it has ended, too.
ENDING = 1.0


@dataclass(frozen=True)
class House:
    """What a keeper works with.

    Attributes:
        run: Where workers listen for us.
        spawn: Starts a worker.
        tied: Whether workers end with this process.
        hello: What both sides must agree on.
        shards: Worker threads.
        dress: Puts people's words into a plan.
    """

    run: RunDirectory
    spawn: Spawn
    tied: bool
    hello: Message
    shards: int
    dress: Callable[[Plan], Plan]


@dataclass
class Record:
    """What people are told of the workers so far. Times are milliseconds since 1970."""

    deaths: int = 0
    last_death: str = ""
    last_death_at: int = 0
    fallen_back: str = ""
    started: int = 0
    start_ms: float = 0.0
    paused: float = 0.0


class Keeper:
    """The worker of an instance, whichever life it is in."""

    def __init__(self, house: House, tickets: TicketKeys, number: int = 0) -> None:
        self._house = house
        self._tickets = tickets
        self._deaths = Deaths()
        self._lock = asyncio.Lock()
        self._wake = asyncio.Event()
        self._number = number
        self._generation = 0
        self._born = self._given = 0.0
        self._proved = False
        self._previous: Serving | None = None
        self._stopping = False
        self.life: Life | None = None
        self.serving: Serving | None = None
        self.sent: Plan = {}
        self.log: int | None = None
        self.listening = Listening(house.shards)
        self.segments = Segments()
        self.health: dict[tuple[str, str], Message] = {}
        self._heard: set[tuple[str, str]] = set()
        self.record = Record()
        self.on_event: Callable[[Message], None] = lambda _: None
        self.on_life: Callable[[], None] = lambda: None

    async def start(self, serving: Serving, *, probe: bool = True) -> Message:
        """Opens the sockets and brings up the first worker.

        Args:
            probe: Whether somebody else's listening on an address is looked for; not when it is
                an earlier worker of this instance.

        Raises:
            BindError, or one of FAILURES: nothing is open and no worker lives.
        """
        self.listening.adopt(self.listening.prepare(serving.compiled.binds, probe=probe))
        self._generation = serving.generation
        try:
            try:
                return await self._bring_up(serving)
            except (StartError, LinkLostError) as error:
                LOG.warning("%s; trying once more", error)
                return await self._bring_up(serving)
        except BaseException:
            self.listening.close()
            raise

    async def keep(self) -> None:
        """Replaces each worker that ends, until `drain` or `stop` is called."""
        while not self._stopping:
            how = await self._end_of(self._living())
            while how and not self._stopping:
                how = await self._replace(how)

    async def change(self, serving: Serving) -> Message:
        """Has the worker take up another plan; returns its answer.

        Raises:
            BindError: an address cannot be opened.
            RefusedError: the worker refuses the plan.
            LinkLostError: the worker ended meanwhile.
            ControlError: it comes after `drain` or `stop`.
            All of them leave the old plan in force.
        """
        binds = serving.compiled.binds
        async with self._lock:
            if self._stopping:
                raise ControlError("the instance is stopping")
            before, served = self.listening.addresses(), self.served()
            made = self.listening.prepare(binds)
            self.listening.adopt(made)
            covered = self.listening.covered([bind.address for bind in binds])
            try:
                answer = await self._take_up(_with_both(serving, covered), made)
            except BaseException:
                self.listening.keep_only(before)
                raise
            self.listening.keep_only(bind.address for bind in binds)
            if serving.loaded is not served.loaded:
                self.record.fallen_back = ""
            return {**answer, **await self._narrow(serving)} if covered else answer

    async def _narrow(self, serving: Serving) -> Message:
        """The second half of a change after which an address is part of a wider one.

        Ours are closed by now: the worker's are the last, and it accepts what waits in them as it
        closes them. With one plan ours would be the last, and what came in between would be lost.
        """
        serving = replace(serving, generation=self.next_generation())
        try:
            answer = await self._take_up(serving, ())
        except FAILURES as error:
            # Nothing is wrong with what is served: the old address is listened on a while longer.
            LOG.warning("an address that went is not closed yet: %s", error)
            return {}
        return {"generation": answer.get("generation", serving.generation)}

    async def admin(self, pool: str, server: str, admin: str) -> Message:
        """Tells the worker a person's word; returns the server's FACTS."""
        async with self._lock:
            return await self._living().link.call("admin", pool=pool, server=server, admin=admin)

    async def tell(self, do: str, fds: Sequence[int] = (), **fields: Any) -> Message:
        """Gives the worker a command that changes no plan."""
        return await self._living().link.call(do, fds, **fields)

    def served(self) -> Serving:
        """What is served.

        Raises:
            ControlError: nothing is, yet.
        """
        if self.serving is None:
            raise ControlError("no plan has been served yet")
        return self.serving

    def next_generation(self) -> int:
        """A number higher than all before, those of plans that came to nothing included.

        An answer may be lost of which the plan serves: it must not be in the way of the next one.
        """
        self._generation += 1
        return self._generation

    def take_event(self, event: Message) -> None:
        """An event of the worker: health is copied here, all are passed on."""
        if event["event"] == "health":
            key = event["pool"], event["server"]
            self.health[key] = _facts(event)
            self._heard.add(key)
        self.on_event(event)

    async def drain(self, requests: int, tunnels: int) -> None:
        """Closes the doors and lets work in hand end; the worker's end is `ended`."""
        self._stopping = True
        self._wake.set()
        async with self._lock:
            # Ours first: the worker still holds its own while it accepts what waits, and when it
            # closes those, newcomers are refused at once.
            self.listening.close()
            if self.life is not None:
                await self.life.link.call("drain", requests_ms=requests, tunnels_ms=tunnels)

    async def stop(self) -> None:
        """Ends the worker at once."""
        self._stopping = True
        self._wake.set()
        self.listening.close()
        if self.life is not None:
            self.life.link.say("stop")
            await asyncio.wait({self.life.process.ended}, timeout=ENDING)
            await self.life.end()

    async def leave(self) -> None:
        """Lets go of a worker that serves on: its link, and our copies of its sockets."""
        for group in self.listening.groups():
            group.close()
        if self.life is not None:
            await self.life.link.close()

    async def ended(self) -> None:
        """Waits for the end of the worker that lives now."""
        if self.life is not None:
            await asyncio.shield(self.life.process.ended)

    async def _take_up(self, serving: Serving, made: Sequence[Group]) -> Message:
        if self.life is None:
            # Between two lives: the new plan may be the cure, so it does not wait for the pause.
            answer = await self._bring_up(serving)
            self._wake.set()
            return answer
        self._prove()
        life, plan, given = self.life, self._plan(serving), time.monotonic()
        answer = await life.change(serving.secrets, made, plan)
        self._given = given
        self._took(serving, plan)
        # It serves: a worker that dies now is followed by one with this plan.
        with contextlib.suppress(LinkLostError, RefusedError):
            await self._copy_health(life)
        return answer

    async def _bring_up(self, serving: Serving) -> Message:
        begun = self._born = self._given = time.monotonic()
        house = self._house
        house.run.restore()
        segments = self.segments.fresh(house.shards)
        self._number += 1
        path = house.run.worker_socket(self._number)
        try:
            life = await Life.begin(house.spawn, path, house.tied, house.hello, self.take_event)
        except BaseException:
            self.segments.drop()
            raise
        try:
            plan = self._plan(serving)
            answer = await life.serve(self._orders(serving, segments, plan))
            await self._copy_health(life)
        except BaseException:
            await life.end()
            self.segments.drop()
            raise
        finally:
            with contextlib.suppress(FileNotFoundError):
                house.run.worker_socket(self._number - 1).unlink()
        self._took(serving, plan)
        self.life = life
        self.record.start_ms = (time.monotonic() - begun) * 1000
        self.record.started = now_ms()
        self.on_life()
        return answer

    def _orders(self, serving: Serving, segments: Sequence[int], plan: Plan) -> Orders:
        return Orders(
            segments=segments,
            log=self.log,
            tickets=self._tickets.hex(),
            secrets=serving.secrets,
            groups=self.listening.groups(),
            health=list(self.health.values()),
            plan=plan,
        )

    def _plan(self, serving: Serving) -> Plan:
        plan = reachable(self._house.dress(serving.compiled.plan), self.listening.addresses())
        return {**plan, "generation": serving.generation}

    def _took(self, serving: Serving, plan: Plan) -> None:
        if self.serving is not serving:
            if self._proved:
                self._previous = self.serving
            self._proved = False
        self.serving, self.sent = serving, plan

    def _prove(self) -> None:
        self._proved = self._proved or time.monotonic() - self._given >= SOON

    async def _copy_health(self, life: Life) -> None:
        self._heard.clear()
        answer = await life.link.call("facts")
        found = {(each["pool"], each["server"]): each for each in answer["servers"]}
        # An event that was read in one piece with the answer came after it, and knows more.
        found.update({key: self.health[key] for key in self._heard & found.keys()})
        self.health = found

    async def _end_of(self, life: Life) -> str:
        ended = life.process.ended
        while not ended.done():
            await first_of(ended, life.link.lost)
            # The link of a dying process often ends a moment before the process does.
            await asyncio.wait({ended}, timeout=ENDING)
            if not ended.done():
                await self._mend(life)
        self.life = None
        self.segments.retire()
        await life.link.close()
        self.on_life()
        return ended.result()

    async def _mend(self, life: Life) -> None:
        if self._stopping:
            await asyncio.wait({life.process.ended})
            return
        LOG.warning(
            "the link to the worker was lost (%s); making a new one", life.link.lost.result()
        )
        try:
            await life.reconnect()
            await self._copy_health(life)  # what changed meanwhile was told to nobody
        except (LinkLostError, RefusedError, HelloMismatchError, OSError) as error:
            LOG.error("the worker lives but does not answer (%s); replacing it", error)
            life.process.kill()

    async def _replace(self, how: str) -> str:
        """Begins the next life; returns how that one failed, empty when it serves."""
        self._prove()
        serving = self.served()
        verdict = self._deaths.died(time.monotonic(), serving.generation, self._given, self._born)
        self._note(how, verdict.wait)
        await self._pause(verdict.wait)
        async with self._lock:
            if self.life is not None or self._stopping:
                return ""
            if verdict.previous:
                serving = self._fall_back(serving)
            try:
                await self._bring_up(serving)
            except FAILURES as error:
                return str(error)
        LOG.info("a new worker serves, %.0f ms after its start", self.record.start_ms)
        return ""

    def _note(self, how: str, wait: float) -> None:
        record = self.record
        record.deaths = self._deaths.count
        record.last_death, record.last_death_at, record.paused = how, now_ms(), wait
        tail = f"; the next one starts in {wait:g} s" if wait else ""
        LOG.error("the worker is gone: %s%s", how, tail)

    async def _pause(self, seconds: float) -> None:
        self._wake.clear()
        if seconds and not self._stopping:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._wake.wait()
        self.record.paused = 0.0

    def _fall_back(self, serving: Serving) -> Serving:
        previous = self._previous
        if previous is None:
            return serving
        try:
            self.listening.adopt(self.listening.prepare(previous.compiled.binds))
        except BindError as error:
            LOG.error("cannot go back to plan %d: %s", previous.generation, error)
            return serving
        self.listening.keep_only(bind.address for bind in previous.compiled.binds)
        self.record.fallen_back = (
            f"plan {serving.generation} killed two workers within {SOON:g} s of its start; "
            f"the plan before it serves"
        )
        LOG.error("%s", self.record.fallen_back)
        # From now on, whatever comes of the next life: the sockets are this plan's.
        self._previous, self._proved = None, False
        self.serving = replace(previous, generation=self.next_generation(), since=now_ms())
        return self.serving

    def _living(self) -> Life:
        if self.life is None:
            raise LinkLostError("no worker is serving just now; the next one is being started")
        return self.life


def now_ms() -> int:
    """Milliseconds since 1970."""
    return int(time.time() * 1000)


def _with_both(serving: Serving, covered: Mapping[str, str]) -> Serving:
    """The same, listening on covered addresses as well, each where the one is that covers it."""
    if not covered:
        return serving
    listeners = [
        {
            **listener,
            "bind": [
                *listener["bind"],
                *(gone for gone, heir in covered.items() if heir in listener["bind"]),
            ],
        }
        for listener in serving.compiled.plan["listeners"]
    ]
    plan = {**serving.compiled.plan, "listeners": listeners}
    return replace(serving, compiled=serving.compiled._replace(plan=plan))


def _facts(event: Message) -> Message:
    return {key: value for key, value in event.items() if key != "event"}
