"""`Scenario`: from a file, a text or a tree built in Python, and what the laboratory runs of it.

Rules kept here:
- Read as a configuration is: all problems at once, each with its place.
- The pool becomes a plan by the configuration's own compiler, so that every key means the same.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from evener.compile.pools import Resolution, pool
from evener.compile.secrets import Secrets
from evener.config import ConfigError, Place, Problem
from evener.config.addresses import ServerAddress
from evener.config.node import Mapping as MappingNode
from evener.config.node import Node, from_python
from evener.config.report import Report
from evener.config.schema import POOL, Pool, Server
from evener.config.text import parse
from evener.lab.schema import (
    NOWHERE,
    SCENARIO,
    Arrivals,
    Clients,
    Deadline,
    Fault,
    Model,
    Pace,
    ScenarioKeys,
    Time,
    refuse_unplayable,
)

SMALLEST = "the smallest is `arrivals: 100/s` and `servers: {count: 3, time: 20ms}`"
#: A moment that no run reaches.
NEVER = 1 << 62


class Scenario:
    """What is simulated.

    Example:
        >>> Scenario({"arrivals": {"rate": "10/s"}, "servers": {"time": "5ms"}}).schedulers
        ['nginx/round_robin']
    """

    def __init__(self, tree: Mapping[str, Any]) -> None:
        """A scenario from a tree of dicts, lists, texts and numbers, with a file's keys.

        Raises:
            ConfigError: something is wrong; it has all problems.
        """
        self._read(from_python(tree), Report())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Scenario:
        """A scenario from a file.

        Raises:
            ConfigError: it can't be read, is not YAML, or something in it is wrong.
        """
        file = os.fspath(path)
        try:
            text = Path(file).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "not UTF-8"
            got = f"a file that can't be read: {why}"
            raise ConfigError([Problem(Place(file, 0, 0), "", got, "a scenario")]) from None
        return cls.parse(text, file=file)

    @classmethod
    def parse(cls, text: str, *, file: str = "(text)") -> Scenario:
        """A scenario from a text; `file` is its name in errors.

        Raises:
            ConfigError: it is not YAML, or something in it is wrong.
        """
        report = Report()
        node = parse(text, file, os.environ, report, ("a scenario", SMALLEST))
        made = cls.__new__(cls)
        made._read(from_python({}, file) if node is None else node, report)
        return made

    @property
    def keys(self) -> ScenarioKeys:
        """Every key with its default."""
        return self._keys

    @property
    def schedulers(self) -> list[str]:
        """The scheduler it is written with, as it is shown, in a list."""
        return [self.plan(1)["pool"]["scheduler"]["name"]]

    def under(self, scheduler: str) -> Scenario:
        """The same with another scheduler, written as in a configuration: `wlc`, `lvs/wlc` or
        `{name: prequal, …}`.

        Raises:
            ConfigError: there is no such scheduler, or it lacks something.
        """
        report = Report()
        node = parse(_written(scheduler), f"scheduler {scheduler}", {}, report)
        report.raise_if_any()
        tree = from_python({"servers": [NOWHERE], "scheduler": ""})
        assert isinstance(tree, MappingNode)
        tree.entries["scheduler"] = (tree.entries["scheduler"][0], node or from_python(""))
        read = POOL.read(tree, None, report)
        if isinstance(read, Pool):
            refuse_unplayable(read, tree, None, report)
        report.raise_if_any()
        other = Scenario.__new__(Scenario)
        other._keys = replace(self._keys, pool=replace(self._keys.pool, scheduler=read.scheduler))
        return other

    def plan(self, seed: int) -> dict[str, Any]:
        """What the laboratory runs: the form of evener-lab's `Scenario`."""
        keys = self._keys
        servers = tuple(_servers(keys.servers))
        made = pool("lab", replace(keys.pool, servers=servers), Resolution({}), Secrets())
        return {
            "seed": seed,
            "arrivals": _arrivals(keys.arrivals),
            "length": keys.length,
            "clients": _clients(keys.clients),
            "balancers": keys.balancers,
            "pool": made,
            "servers": [_model(model) for model in keys.servers for _ in range(model.count)],
            "network": keys.network or 0,
            "deadline": _deadline(keys.deadline),
            "within": keys.within,
        }

    def _read(self, node: Node, report: Report) -> None:
        keys = SCENARIO.read(node, None, report)
        report.raise_if_any()
        assert isinstance(keys, ScenarioKeys)
        self._keys = keys


def _written(scheduler: str) -> str:
    """`program/name` as a configuration has it; what has braces is written so already."""
    program, slash, name = scheduler.partition("/")
    if not slash or "{" in scheduler:
        return scheduler
    return name if program == "evener" else f"{{name: {name}, as: {program}}}"


def _servers(models: tuple[Model, ...]) -> list[Server]:
    """The servers of the pool: addresses of their own, names that say which model they are."""
    made: list[Server] = []
    for row, model in enumerate(models):
        letter = chr(ord("a") + row) if row < 26 else f"m{row}."
        for at in range(model.count):
            number = len(made)
            host = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
            address = ServerAddress("ip4", host, 80)
            made.append(replace(model.server, address=address, id=f"{letter}{at + 1}"))
    return made


def _arrivals(arrivals: Arrivals) -> dict[str, Any]:
    if arrivals.rate is not None:
        return {"poisson": {"rate": arrivals.rate}}
    if arrivals.even is not None:
        return {"even": {"rate": arrivals.even}}
    return {"steps": [[step.at, step.rate] for step in arrivals.steps or ()]}


def _clients(clients: Clients | None) -> Any:
    return "fresh" if clients is None else {"known": {"count": clients.count, "skew": clients.skew}}


def _deadline(deadline: Deadline | None) -> dict[str, Any] | None:
    if deadline is None:
        return None
    return {"after": deadline.after, "blames": bool(deadline.tries)}


def _model(model: Model) -> dict[str, Any]:
    room: Any = "endless"
    if model.slots is not None:
        room = {"slots": model.slots}
    elif model.cores is not None:
        room = {"cores": model.cores}
    return {
        "service": _time(model.time),
        "room": room,
        "pace": _pace(model.pace),
        "faults": [_fault(fault) for fault in model.faults],
    }


def _time(time: Time) -> dict[str, Any]:
    if time.fixed is not None:
        return {"fixed": time.fixed}
    if time.exponential is not None:
        return {"exponential": {"mean": time.exponential}}
    if time.normal is not None:
        return {"normal": {"mean": time.normal.mean, "deviation": time.normal.deviation}}
    assert time.log_normal is not None, "one kind is written"
    return {"log_normal": {"median": time.log_normal.median, "spread": time.log_normal.spread}}


def _pace(pace: Pace | None) -> Any:
    if pace is None:
        return "steady"
    return {"redrawn": {"every": pace.every, "slower": pace.slower, "odds": pace.odds / 100}}


def _fault(fault: Fault) -> dict[str, Any]:
    what: Any = "refuses" if fault.refuses else "silent"
    if fault.takes is not None:
        what = {"takes": _time(fault.takes)}
    elif fault.status is not None:
        what = {"answers": {"status": fault.status, "after": fault.after}}
    until = NEVER if fault.until is None else fault.until
    flaps = fault.flaps and {"on": fault.flaps.on, "off": fault.flaps.off}
    return {"from": fault.at, "until": until, "what": what, "flaps": flaps}
