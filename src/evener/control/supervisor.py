"""The supervisor's course: start, reload, resolve names, obey people's words, stop.

Rules kept here (PROCESS.md, "What happens"):
- What fails leaves the old plan serving, and why is kept for `status`.
- Reloads wait for each other; reading and compiling happen in a thread, so that a dying worker
  is answered meanwhile.
- What is decided by rules is decided elsewhere (deaths, words, segments); here is only order.
Not known here: HTTP, how a person is told, and how a worker is kept.
"""

import asyncio
import contextlib
import logging
import os
import socket
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from evener.compile import Compiled, Settings
from evener.config.errors import printable
from evener.control import limits, logs, systemd
from evener.control.certificates import read_secrets
from evener.control.errors import (
    BindError,
    CertificateError,
    ConfigRefusedError,
    ControlError,
    LinkLostError,
    RefusedError,
)
from evener.control.frames import Message
from evener.control.hints import hint
from evener.control.instance import Identity, RunDirectory, default_run
from evener.control.keeper import House, Keeper, now_ms
from evener.control.own_lines import WithOwnLines
from evener.control.predecessors import Predecessors
from evener.control.resolver import EVERY, Resolver, in_thread
from evener.control.serving import (
    Reload,
    Serving,
    lines_of,
    refuse_fixed,
    told,
    wanted_secrets,
)
from evener.control.sockets import open_metrics
from evener.control.source import Loaded, Source, shards_of
from evener.control.tickets import TicketKeys
from evener.control.upkeep import CountersOf, rotate_tickets, sample, watch
from evener.control.weights import refuse
from evener.control.words import Key, Words, directory_of
from evener.control.worker_process import Spawn, spawn
from evener.dataplane import DataplaneError
from evener.telemetry.window import View, Window

LOG = logs.LOG

#: What a reload may fail with, the old plan serving on.
EXPECTED = (
    ConfigRefusedError,
    CertificateError,
    BindError,
    RefusedError,
    LinkLostError,
    ControlError,
    OSError,
)
#: Seconds beyond the drain's own bound that a worker may take to end.
DRAIN_SLACK = 5.0
#: Seconds between two looks at whether names have other addresses.
LOOK = 1.0


@dataclass(frozen=True)
class Means:
    """What a supervisor works with; tests give others.

    Attributes:
        hello: What supervisor and worker must agree on.
        counters: Reader of segments, given descriptors of living and of retired ones.
        spawn: Starts a worker.
        run: Run directory that outranks the configuration's.
        tied: Whether the worker ends with this process, however that ends (`evener quick`).
        admin_group: Group that may use the admin socket besides our own user.
    """

    hello: Message
    counters: Callable[[Sequence[int], Sequence[int]], CountersOf]
    spawn: Spawn = spawn
    run: Path | None = None
    tied: bool = False
    admin_group: int | None = None


class Warned(NamedTuple):
    """The last warning about a server: when (ms since 1970), and its words."""

    at: int
    text: str


class Supervisor:
    """One instance. `start`, then `run` until it is asked to stop."""

    def __init__(self, source: Source, means: Means) -> None:
        self.source = source
        self._means = means
        self._resolver = Resolver()
        self._tickets = TicketKeys(time.monotonic())
        self._reloading = asyncio.Lock()
        self._stop = asyncio.Event()
        self._now = asyncio.Event()
        self._reopen = asyncio.Event()
        self._reload = asyncio.Event()
        self._drained: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.started = now_ms()
        self.last: Reload | None = None
        self.failed: Reload | None = None
        self.counters: CountersOf | None = None
        self.window = Window()
        self.reloads = {"ok": 0, "failed": 0}
        self.warnings: dict[Key, Warned] = {}
        self.metrics: socket.socket | None = None
        self.metrics_changed = asyncio.Event()
        self.descriptors = limits.raise_descriptors()

        #: What logs, metrics and state are open by; a return to the previous plan leaves them.
        self._opened: Settings
        self.run_directory: RunDirectory
        self.admin_socket: socket.socket
        self.keeper: Keeper
        self.words: Words

    @property
    def serving(self) -> Serving:
        """The configuration that is served."""
        return self.keeper.served()

    @property
    def settings(self) -> Settings:
        """The supervisor's own part of it."""
        return self.serving.compiled.settings

    @property
    def unresolved(self) -> dict[str, str]:
        """Host names that did not resolve when last asked, and why."""
        return dict(self._resolver.failures)

    @property
    def build(self) -> str:
        """The version of this build."""
        return str(self._means.hello["build"])

    @property
    def admin_group(self) -> int | None:
        """Group that may use the admin socket, besides our own user and root."""
        return self._means.admin_group

    @property
    def stopping(self) -> bool:
        """Whether the end has been asked for."""
        return self._stop.is_set()

    # What may be asked of it from anywhere in its loop, at once and without an answer.

    def ask_stop(self, now: bool = False) -> None:
        """Drain and end; asked a second time, or with `now`, end at once."""
        if now or self._stop.is_set():
            self._now.set()
        self._stop.set()

    async def stop_asked(self) -> None:
        """Waits until a stop has been asked for."""
        await self._stop.wait()

    def ask_reload(self) -> None:
        """Read the configuration again; what comes of it is logged."""
        self._reload.set()

    def ask_reopen(self) -> None:
        """Open log files anew."""
        self._reopen.set()

    async def start(self) -> None:
        """Reads, binds, starts a worker and waits until it serves.

        Raises:
            ControlError: it cannot; nothing is left open or running.
        """
        loaded, compiled, secrets = await self._read()
        settings = self._opened = compiled.settings
        logs.set_up(settings.log_level, settings.log_to)
        run = self._means.run or (Path(settings.run) if settings.run else default_run())
        self.run_directory = RunDirectory.take(run, temporary=self._means.tied)
        try:
            await self._begin(Serving(loaded, compiled, secrets, 1, now_ms()))
        except BaseException:
            if hasattr(self, "keeper"):
                await self.keeper.stop()
            self._let_go()
            raise

    async def run(self) -> int:
        """Runs until it was asked to stop and has stopped; returns how many answers that cut."""
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(each) for each in self._duties()]
                await self._stop.wait()
                cut = await self._finish()
                for task in tasks:
                    task.cancel()
            return cut
        finally:
            await self.keeper.leave()
            self._let_go()

    async def reload(self) -> Reload:
        """Reads the configuration and has it served; failures are in what is returned."""
        async with self._reloading:
            try:
                loaded, compiled, secrets = await self._read_safely()
                own = self.run_directory.path / "admin.sock"
                refuse_fixed(self.settings, compiled.settings, loaded, own)
                answer = await self._change(loaded, compiled, secrets)
            except EXPECTED as error:
                return self._failed("reload", error)
            finally:
                self._resolver.keep_only(self.serving.loaded.names())
        return self._went_well("reload", answer)

    async def say(self, pool: str, server: str, admin: str) -> Message:
        """Takes a person's word about a server (ready, drain); returns the server's FACTS.

        They have `unkept` besides where the word will not outlive the supervisor: why.

        Raises:
            ControlError: there is no such server.
        """
        self.words.speak(pool, server, admin, self.serving.compiled.plan)
        facts = await self.keeper.admin(pool, server, admin)
        self.keeper.health[pool, server] = facts
        LOG.info("%s/%s: %s, as a person said", pool, server, admin)
        return self._with_unkept(facts)

    async def weigh(self, pool: str, server: str, weight: int) -> Message:
        """Gives a server another weight at a person's word; returns the server's FACTS as `say`.

        The plan with that weight is served as a reload's is, so each scheduler re-weighs by its own
        rule.

        Raises:
            ControlError: there is no such server, or its scheduler has no rule for the weight.
            LinkLostError, RefusedError: the worker did not take it; the word is taken back.
        """
        async with self._reloading:
            serving, words = self.serving, self.words
            plan = serving.compiled.plan
            file = words.of_file(pool, server, plan)["weight"]
            refuse(next(each for each in plan["pools"] if each["name"] == pool), weight, file)
            before = words.said(pool, server, "weight")
            words.speak(pool, server, weight, plan, "weight")
            try:
                generation = self.keeper.next_generation()
                await self.keeper.change(replace(serving, generation=generation, since=now_ms()))
            except BaseException:
                words.take_back(pool, server, before, "weight")
                raise
        LOG.info("%s/%s: weight %d, as a person said", pool, server, weight)
        return self._with_unkept(self.keeper.health[pool, server])

    def _with_unkept(self, facts: Message) -> Message:
        return {**facts, "unkept": self.words.unkept} if self.words.unkept else facts

    def read_counters(self) -> CountersOf | None:
        """The counters of all lives so far; None before the first, and while they cannot be read.

        Tried anew each time: the watchdog asks once a second.
        """
        if self.counters is None:
            self._open_counters()
        return self.counters

    def view(self) -> View:
        """The counters of this moment, beside those of the last minute."""
        counters = self.read_counters()
        text = "{}" if counters is None else counters.totals()
        return self.window.view(time.monotonic(), text)

    async def status(self) -> Message:
        """The worker's own account; None of it while no worker serves."""
        with contextlib.suppress(LinkLostError, RefusedError):
            return await self.keeper.tell("status")
        return {}

    # -- start ------------------------------------------------------------------------------

    async def _read(self) -> tuple[Loaded, Compiled, dict[str, str]]:
        loaded = await in_thread(self.source.load)
        await self._resolver.resolve(loaded.names())
        compiled, secrets = await self._compile(loaded)
        for warning in compiled.warnings:
            LOG.warning("%s", warning)
        return loaded, compiled, secrets

    async def _read_safely(self) -> tuple[Loaded, Compiled, dict[str, str]]:
        """As `_read`; no fault of a reading ends what serves."""
        try:
            return await self._read()
        except EXPECTED:
            raise
        except Exception as error:
            LOG.exception("a fault of Evener's own while it read the configuration")
            text = f"a fault of Evener's own: {type(error).__name__}: {error}"
            raise ControlError(text, "the log has where; please report it") from error

    async def _compile(self, loaded: Loaded) -> tuple[Compiled, dict[str, str]]:
        answers = self._resolver.answers()

        def work() -> tuple[Compiled, dict[str, str]]:
            compiled = loaded.compile(answers)
            return compiled, read_secrets(wanted_secrets(compiled))

        return await in_thread(work)

    async def _begin(self, serving: Serving) -> None:
        means, settings = self._means, serving.compiled.settings
        self.metrics = open_metrics(settings.metrics)
        self.words = Words(self._state(settings))
        if means.tied:  # its directory is named for a process id, which was another's before
            self.words.forget()
        if obstacle := self.words.obstacle():
            LOG.warning("%s", obstacle)
        found = Predecessors.find(self.run_directory, means.hello)
        async with contextlib.aclosing(await found) as before:
            await self._begin_after(before, serving)

    async def _begin_after(self, before: Predecessors, serving: Serving) -> None:
        means, settings = self._means, serving.compiled.settings
        house = House(
            run=self.run_directory,
            spawn=means.spawn,
            tied=means.tied,
            hello=means.hello,
            shards=shards_of(settings.shards),
            dress=self.words.apply,
        )
        self.keeper = Keeper(house, self._tickets, before.highest)
        self.keeper.on_event, self.keeper.on_life = self._on_event, self._on_life
        self.keeper.log = self._open_access(settings)
        for facts in await before.health():
            self.keeper.health[facts["pool"], facts["server"]] = facts
        self.admin_socket = self.run_directory.listen_admin(settings.admin, means.admin_group)
        answer = await self.keeper.start(serving, probe=not before)
        drain = serving.compiled.plan["drain"]
        await before.drain(drain["requests"], drain["tunnels"])
        self.words.settle(serving.compiled.plan)
        self._went_well("start", answer)
        self._say_ready()

    def _state(self, settings: Settings) -> Path:
        run = self.run_directory.path
        if self._means.tied:
            return run
        if settings.state:
            return directory_of(Path(settings.state), run)
        own = Path.home() / ".local" / "state"
        return directory_of((Path("/var/lib") if os.geteuid() == 0 else own) / "evener", run)

    def _say_ready(self) -> None:
        where = ", ".join(sorted(self.keeper.listening.addresses().values()))
        LOG.info("serving on %s, %s", where, self.descriptors.words())
        systemd.notify("READY=1", f"STATUS=serving on {where}")

    # -- while it runs ----------------------------------------------------------------------

    def _duties(self) -> list[Coroutine[Any, Any, None]]:
        return [
            self.keeper.keep(),
            watch(self.keeper, self.read_counters),
            self._follow_names(),
            rotate_tickets(self.keeper, self._tickets),
            sample(self.window, self.read_counters),
            self._obey_reloads(),
            self._obey_reopens(),
        ]

    async def _change(self, loaded: Loaded, compiled: Compiled, secrets: dict[str, str]) -> Message:
        """Opens what the new settings name, changes the plan, and only then changes over."""
        old, new = self._opened, compiled.settings
        with contextlib.ExitStack() as undo:
            metrics, access = self.metrics, self.keeper.log
            if new.metrics != old.metrics:
                metrics = open_metrics(new.metrics, self.metrics)
                undo.callback(_close_socket, metrics)
            if new.access_to != old.access_to:
                access = self._open_access(new)
                undo.callback(_close_descriptor, access)
            words = None
            if (new.log_level, new.log_to) != (old.log_level, old.log_to):
                words = logs.open_log(new.log_to)
                undo.callback(logs.discard, words)
            if new.state != old.state:
                self.words.move(self._state(new))
                undo.callback(self.words.move, self._state(old))
            generation, before = self.keeper.next_generation(), self.keeper.listening.addresses()
            answer = await self.keeper.change(
                Serving(loaded, compiled, secrets, generation, now_ms())
            )
            undo.pop_all()
        self._opened = new
        if new.metrics != old.metrics:
            _close_socket(self.metrics)
            self.metrics = metrics
            self.metrics_changed.set()
        if new.access_to != old.access_to:
            await self._switch_access(access)
        if words is not None:
            logs.use(new.log_level, words)
        self.words.settle(compiled.plan)
        known = self.warnings.keys() & self.keeper.health.keys()
        self.warnings = {key: self.warnings[key] for key in known}
        after = self.keeper.listening.addresses()
        opened = sorted(after[address] for address in after.keys() - before.keys())
        closed = sorted(before[address] for address in before.keys() - after.keys())
        return {**answer, "opened": opened, "closed": closed}

    async def _follow_names(self) -> None:
        used, asked, owed = self._resolver.answers(), time.monotonic(), False
        while True:
            await asyncio.sleep(LOOK)
            due = time.monotonic() - asked >= EVERY
            if due:
                asked = time.monotonic()
                await self._resolver.resolve(self.serving.loaded.names())
            if self._resolver.answers() != used or (owed and due):
                used = self._resolver.answers()
                owed = not await self._rename()

    async def _rename(self) -> bool:
        """Has the addresses that names have now served; False if that is still to be done."""
        async with self._reloading:
            try:
                loaded, secrets = self.serving.loaded, dict(self.serving.secrets)
                answers = self._resolver.answers()
                compiled = await in_thread(lambda: loaded.compile(answers))
                if compiled.plan == self.serving.compiled.plan:
                    return True
                answer = await self._change(loaded, compiled, secrets)
            except EXPECTED as error:
                self._failed("names", error)
                return False
        self._went_well("names", answer)
        return True

    async def _obey_reloads(self) -> None:
        while True:
            await self._reload.wait()
            self._reload.clear()
            await self.reload()

    async def _obey_reopens(self) -> None:
        while True:
            await self._reopen.wait()
            self._reopen.clear()
            try:
                logs.set_up(self._opened.log_level, self._opened.log_to)
                await self._switch_access(self._open_access(self._opened))
                LOG.info("logs reopened")
            except EXPECTED as error:
                LOG.error("cannot reopen logs: %s", error)

    async def _switch_access(self, new: int | None) -> None:
        old, self.keeper.log = self.keeper.log, new
        try:
            if new is not None:
                with contextlib.suppress(LinkLostError):  # the next worker is given the new one
                    await self.keeper.tell("log", [new])
        except RefusedError as error:
            LOG.warning("the access log stays where it was until the next worker: %s", error)
        finally:
            _close_descriptor(old)

    def _open_access(self, settings: Settings) -> int | None:
        return None if settings.access_to is None else logs.open_access(settings.access_to)

    # -- what came of it --------------------------------------------------------------------

    def _went_well(self, cause: str, answer: Message) -> Reload:
        self.last = Reload(now_ms(), cause, answer)
        # New addresses of a name do not make a file right that was refused.
        if self.failed is not None and cause in (self.failed.cause, "reload"):
            self.failed = None
        self.reloads["ok"] += 1
        if cause != "start":
            LOG.info("%s", told(self.last))
        return self.last

    def _failed(self, cause: str, error: Exception) -> Reload:
        failed = Reload(now_ms(), cause, {}, lines_of(error))
        if cause == "reload" or self.failed is None or self.failed.cause != "reload":
            self.failed = failed
        self.reloads["failed"] += 1
        LOG.error("%s", told(failed))
        return failed

    def _on_event(self, event: Message) -> None:
        if event["event"] == "health":
            where, state = f"{event['pool']}/{event['server']}", event["state"]
            level = logging.WARNING if state in ("down", "ejected") else logging.INFO
            todo = hint(event["reason"])
            reason = f"{event['reason']} ({todo})" if todo else event["reason"]
            LOG.log(level, "%s is %s: %s", where, state, reason)
        elif event["event"] == "drained" and not self._drained.done():
            self._drained.set_result(int(event["cut"]))
        elif event["event"] == "log":
            self._on_log(event)

    def _on_log(self, event: Message) -> None:
        # A program's words on stderr, too, which may have what a client sent it.
        text = said = printable(event["text"])
        if (pool := event.get("pool")) is not None:
            if (pool, event["server"]) in self.keeper.health:
                self.warnings[pool, event["server"]] = Warned(now_ms(), text)
            said = f"{pool}/{event['server']}: {text}"
        todo = hint(text)
        LOG.log(logs.level_of(event["level"]), "%s%s", said, f" ({todo})" if todo else "")

    def _on_life(self) -> None:
        # Not to be mistaken for the next life's: their stamps stand still.
        self.counters = None
        if not self._open_counters():
            LOG.warning("counters cannot be read just now; they are tried again")
        life = self.keeper.life
        identity = Identity(
            config=self.source.path,
            build=self.build,
            pid=os.getpid(),
            worker=life.process.pid if life else 0,
            started=self.started,
            admin=str(self.run_directory.admin_socket),
        )
        try:
            self.run_directory.write(identity)
        except OSError as error:  # it is for commands; no worker waits for it
            where = self.run_directory.path
            LOG.warning("cannot write %s/instance.json: %s", where, error.strerror)

    def _open_counters(self) -> bool:
        segments = self.keeper.segments
        with contextlib.suppress(OSError, DataplaneError):  # no descriptors, no memory
            self.counters = WithOwnLines(self._means.counters(segments.living, segments.retired))
        return self.counters is not None

    # -- the end ----------------------------------------------------------------------------

    async def _finish(self) -> int:
        systemd.notify("STOPPING=1")
        requests = self.serving.compiled.plan["drain"]["requests"]
        if not self._now.is_set():
            LOG.info("stopping; requests in hand have up to %g s", requests / 1000)
            await self._drain(requests)
        await self.keeper.stop()
        cut = self._drained.result() if self._drained.done() else 0
        if cut:
            LOG.warning("stopped; time cut %d connections", cut)
        elif self._drained.done():
            LOG.info("stopped; nothing was cut")
        else:
            LOG.warning("stopped at once; what was in hand is lost")
        return cut

    async def _drain(self, requests: int) -> None:
        now = asyncio.create_task(self._now.wait())
        drain = asyncio.create_task(self._drain_whole(requests))
        bound = requests / 1000 + DRAIN_SLACK
        await asyncio.wait({now, drain}, timeout=bound, return_when=asyncio.FIRST_COMPLETED)
        for task in (now, drain):
            task.cancel()
        results = await asyncio.gather(now, drain, return_exceptions=True)
        if isinstance(results[1], (LinkLostError, RefusedError)):
            LOG.warning("the worker cannot be told to drain: %s", results[1])

    async def _drain_whole(self, requests: int) -> None:
        await self.keeper.drain(requests, requests)
        await self.keeper.ended()

    def _let_go(self) -> None:
        self._resolver.close()
        _close_socket(self.metrics)
        if hasattr(self, "admin_socket"):
            self.admin_socket.close()
        if hasattr(self, "keeper"):
            self.keeper.segments.close()
            _close_descriptor(self.keeper.log)
            self.keeper.log = None
        self.run_directory.release()


def _close_socket(sock: socket.socket | None) -> None:
    if sock is not None:
        sock.close()


def _close_descriptor(descriptor: int | None) -> None:
    if descriptor is not None:
        os.close(descriptor)
