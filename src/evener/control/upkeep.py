"""What goes on beside the supervisor's course for as long as it runs, by the clock.

Rules kept here:
- Each duty is a loop that ends only by being cancelled; what it raises ends the supervisor.
- A worker that is between two lives is left alone; its next life is told everything anew.
Not known here: reloads, stops and where the keeper comes from.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Any, Protocol

from evener.control import logs
from evener.control.errors import LinkLostError
from evener.control.keeper import Keeper
from evener.control.segments import Watchdog
from evener.control.tickets import TicketKeys
from evener.control.worker_process import where_it_hangs
from evener.telemetry.window import EVERY, Window

LOG = logs.LOG

#: Seconds between two looks at the shards' stamps.
LOOK = 1.0
#: Seconds between two looks at the age of the ticket keys.
TICKETS = 60.0


class CountersOf(Protocol):
    """Reads the counters of living and retired segments (dataplane.Counters)."""

    def stamps(self) -> list[int]:
        """A number per living segment that changes at each turn of its shard."""

    def totals(self) -> str:
        """All sums, as JSON text."""

    def prometheus(self, facts: dict[str, Any]) -> str:
        """The Prometheus page."""


ReadCounters = Callable[[], CountersOf | None]


async def watch(keeper: Keeper, counters: ReadCounters) -> None:
    """Ends a worker whose shards no longer turn; the keeper replaces it."""
    watchdog, life = Watchdog(), keeper.life
    while True:
        await asyncio.sleep(LOOK)
        if keeper.life is not life:
            watchdog, life = Watchdog(), keeper.life
        now = counters()
        if life is None or now is None:
            continue
        # The last segment is the prober's, which has no turns to stamp.
        if stalled := watchdog.look(now.stamps()[:-1]):
            for line in where_it_hangs(life.process.pid):
                LOG.error("%s", line)
            shards = ", ".join(map(str, stalled))
            LOG.error("shard %s does not turn; replacing the worker", shards)
            life.process.kill()


async def sample(window: Window, counters: ReadCounters) -> None:
    """Keeps readings of the counters, for rates and recent quantiles."""
    while True:
        if (now := counters()) is not None:
            window.take(time.monotonic(), now.totals())
        await asyncio.sleep(EVERY)


async def rotate_tickets(keeper: Keeper, keys: TicketKeys) -> None:
    """Makes new ticket keys when it is time, and tells the worker."""
    while True:
        await asyncio.sleep(TICKETS)
        if keys.rotate(time.monotonic()):
            with contextlib.suppress(LinkLostError):
                await keeper.tell("tickets", keys=keys.hex())
