"""Run an instance in this process: supervisor, signals and, once a worker serves, the API.

Signals (CONFIG.md): TERM, QUIT, INT drain and stop, a second one stops now; HUP reloads; USR1
reopens logs; USR2 is for an upgrade, which this build does not have, and is said so.
"""

import asyncio
import grp
import os
import signal
from pathlib import Path

from evener import dataplane
from evener.control import log_writer, logs
from evener.control.instance import quick_run, sweep
from evener.control.source import Source
from evener.control.supervisor import Means, Supervisor
from evener.worker import SIGNALS

#: Group whose members may give commands to an instance that was started as root.
ADMINS = "evener-admin"


def serve(source: Source, *, run: Path | None = None, quick: bool = False) -> int:
    """Runs until stopped; returns how many connections the end cut.

    Args:
        source: Where the configuration comes from.
        run: Run directory that outranks the configuration's.
        quick: Whether this is `evener quick`: a run directory of its own, and a worker that ends
            with this process.

    Raises:
        ControlError: it cannot start.
    """
    logs.fill_streams()
    logs.set_up("info", "stderr")
    sweep()
    means = Means(
        hello=dataplane.hello(),
        counters=dataplane.Counters,
        run=run or (quick_run() if quick else None),
        tied=quick,
        admin_group=_admins(),
    )
    try:
        return asyncio.run(_serve(source, means))
    finally:
        log_writer.finish()


async def _serve(source: Source, means: Means) -> int:
    supervisor = Supervisor(source, means)
    _obey_signals(supervisor)
    if not await _start(supervisor):
        return 0
    running = asyncio.create_task(supervisor.run())
    admin = asyncio.create_task(_open_doors(supervisor))
    # Whichever fails first ends the instance: a supervisor nobody can talk to is no use.
    await asyncio.wait({running, admin}, return_when=asyncio.FIRST_COMPLETED)
    if not running.done():
        supervisor.ask_stop()
    cut = await running
    admin.cancel()
    await asyncio.gather(admin, return_exceptions=not admin.done())
    return cut


async def _start(supervisor: Supervisor) -> bool:
    """Starts it; False when a signal came first."""
    start = asyncio.create_task(supervisor.start())
    stop = asyncio.create_task(supervisor.stop_asked())
    await asyncio.wait({start, stop}, return_when=asyncio.FIRST_COMPLETED)
    stop.cancel()
    if not start.done():
        start.cancel()
        await asyncio.gather(start, return_exceptions=True)
        return False
    await start
    return True


async def _open_doors(supervisor: Supervisor) -> None:
    doors = await asyncio.to_thread(_import_doors)
    await doors(supervisor)


def _import_doors():  # type: ignore[no-untyped-def]  # its type is the import that must come late
    from evener.admin.doors import serve as serve_doors

    return serve_doors


def _obey_signals(supervisor: Supervisor) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGQUIT, signal.SIGINT):
        loop.add_signal_handler(number, supervisor.ask_stop)
    loop.add_signal_handler(signal.SIGHUP, supervisor.ask_reload)
    loop.add_signal_handler(signal.SIGUSR1, supervisor.ask_reopen)
    loop.add_signal_handler(
        signal.SIGUSR2, logs.LOG.error, "this build cannot upgrade in place; stop and start it"
    )
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def _admins() -> int | None:
    if os.geteuid() != 0:
        return None
    try:
        return grp.getgrnam(ADMINS).gr_gid
    except KeyError:
        return None
