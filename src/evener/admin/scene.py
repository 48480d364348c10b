"""Ask the supervisor for everything a page is made of, at one moment."""

import os

from evener.admin.status import Scene, waiting_at
from evener.config.errors import printable
from evener.control.keeper import now_ms
from evener.control.queues import queued
from evener.control.supervisor import Supervisor
from evener.telemetry.processes import process

#: The words a server's state can be, as DESIGN.md's vocabulary has them.
STATES = ("up", "starting", "draining", "maintenance", "ejected", "down")


async def scene_of(supervisor: Supervisor) -> Scene:
    """The scene; while no worker serves, with the last that was known of servers."""
    keeper = supervisor.keeper
    told = await supervisor.status()
    servers = told.get("servers", list(keeper.health.values()))
    return Scene(
        now=now_ms(),
        instance={
            # A path may be no text, and what a terminal would obey.
            "run": printable(str(supervisor.run_directory.path)),
            "config": printable(supervisor.source.path),
            "build": supervisor.build,
            "pid": os.getpid(),
            "worker": keeper.life.process.pid if keeper.life else None,
            "started": supervisor.started,
            "stopping": supervisor.stopping,
            "descriptors": supervisor.descriptors.now,
        },
        plan=keeper.sent,
        bound=keeper.listening.addresses(),
        queued=queued(keeper.listening.groups()),
        servers={(each["pool"], each["server"]): each for each in servers},
        worker=told,
        record=keeper.record,
        last=supervisor.last,
        failed=supervisor.failed,
        unresolved=supervisor.unresolved,
        certificates=supervisor.serving.certificates,
        view=supervisor.view(),
    )


def exposition(supervisor: Supervisor) -> str:
    """The Prometheus page; it asks the worker nothing, so that a scrape cannot hang on it."""
    keeper = supervisor.keeper
    pids = {"supervisor": os.getpid(), "worker": keeper.life.process.pid if keeper.life else 0}
    queues = queued(keeper.listening.groups())
    processes = [process(role, pid) for role, pid in pids.items()]
    facts = {
        "version": supervisor.build,
        "generation": keeper.sent["generation"],
        "reloads": [
            {"result": result, "count": count} for result, count in supervisor.reloads.items()
        ],
        "last_reload_success": supervisor.last.at / 1000 if supervisor.last else None,
        "states": list(STATES),
        "servers": [
            {
                "pool": each["pool"],
                "server": each["server"],
                "state": each["state"],
                "weight": each["weight"],
                "check_seconds": each["check"]["took_ms"] / 1000 if each["check"] else None,
            }
            for each in keeper.health.values()
        ],
        "queues": [
            {"listener": listener["name"], "waiting": waiting_at(listener, queues)}
            for listener in keeper.sent["listeners"]
        ],
        "processes": [each for each in processes if each is not None],
        "certificates": [
            {"file": file, "not_after": end}
            for file, end in supervisor.serving.certificates.items()
        ],
    }
    return supervisor.counters.prometheus(facts) if supervisor.counters else ""
