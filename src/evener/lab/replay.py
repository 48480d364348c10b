"""Replay: a model made of an access log, played to other schedulers, and what to make of it.

Rules kept here:
- Arrivals, clients, targets and each request's work are the log's own. Work is what a server spent
  on it: how long it had it, less the waiting for a slot, by the speed of that server at that time.
- Servers are as fast, and as broken, as the log shows them, window by window.
- How many requests a server works on at once is not in a log: it is the number with which work does
  not hang on how many were there already. It is said, and `slots` overrules it.
- A recommendation comes with its evidence, and with what the log cannot show.
"""

from __future__ import annotations

import heapq
import os
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median
from typing import Any

from evener.config.kinds import Section
from evener.config.schema import POOL
from evener.lab.advice import advice
from evener.lab.engine import LabError
from evener.lab.logs import Entry, Log, read
from evener.lab.results import Result
from evener.lab.runs import SLICES, run_plans
from evener.lab.scenario import Scenario
from evener.lab.tables import span

#: Seconds over which a server's speed is told, and requests that tell it.
WINDOW, ENOUGH = 10.0, 20
#: Seconds to which logs tell times; others are finer.
TOLD = {"HAProxy's httplog": 0.001, "combined": 0.001}
FINE = 1e-6
#: A speed that is further from a server's own is a fault of that window.
ODD = 1.5
SEEDS = range(1, 4)
#: What is played where nobody says otherwise, as far as the configuration has it.
USUAL = ("round_robin", "least_conn", "random", "peak_ewma", "prequal")


@dataclass(frozen=True)
class Slots:
    """How many requests a server works on at once, and how that is known."""

    number: int | None
    why: str


@dataclass(frozen=True)
class Verdict:
    """What came of a replay."""

    log: list[str]
    results: list[Result]
    advice: list[str]

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        results = [result.as_json() for result in self.results]
        return {"log": self.log, "results": results, "advice": self.advice}


class Replay:
    """The model of a log."""

    def __init__(self, log: Log, *, pool: str | None = None, slots: int | None = None) -> None:
        """Makes the model.

        Args:
            log: the requests.
            pool: which pool of them; needed when there are several.
            slots: requests a server works on at once; estimated without it.

        Raises:
            LabError: the log has too little to play.
        """
        self._form, self._unread = log.form, log.unread
        self._entries = _of_pool(log, pool)
        self.servers = sorted({entry.server for entry in self._entries if entry.server})
        if len(self.servers) < 2:
            raise _too_little(f"{len(self.servers)} server in the log: there is nothing to choose")
        by_server = defaultdict(list)
        for entry in self._entries:
            by_server[entry.server].append(entry)
        told = TOLD.get(log.form, FINE)
        self.slots = _estimated(by_server, told) if slots is None else Slots(slots, "as was said")
        self._work = _work(by_server, self.slots.number, told)
        self._speeds = _Speeds(self._entries, self._work, told)

    @classmethod
    def load(
        cls, path: str | os.PathLike[str], *, pool: str | None = None, slots: int | None = None
    ) -> Replay:
        """Of a log file.

        Raises:
            LabError: it can't be read, or has too little to play.
        """
        try:
            with Path(path).open(encoding="utf-8", errors="replace") as lines:
                log = read(lines)
        except OSError as error:
            raise LabError(f"{path} can't be read: {error.strerror}") from None
        return cls(log, pool=pool, slots=slots)

    def compare(self, schedulers: Sequence[str] = ()) -> Verdict:
        """Plays it to each scheduler and says what to make of it.

        Raises:
            ConfigError: there is no such scheduler.
            LabError: the model makes no sense.
        """
        base = Scenario({"arrivals": "1/s", "servers": {"count": len(self.servers), "time": "1ms"}})
        cases = [base.under(name) for name in schedulers or usual()]
        model = self._model()
        plans = [[self._plan(case.plan(seed), model) for seed in SEEDS] for case in cases]
        results = run_plans(plans, SLICES)
        return Verdict(self.words(), results, advice(results, self.slots.number, self._speeds.odd))

    def words(self) -> list[str]:
        """What the log has."""
        took = sorted(entry.took for entry in self._entries if entry.took is not None)
        good = sum(entry.status < 500 for entry in self._entries) / len(self._entries)
        lasted = self._entries[-1].at - self._entries[0].at
        room = "all that come" if self.slots.number is None else f"{self.slots.number} requests"
        skipped = f", {self._unread} lines were none" if self._unread else ""
        return [
            f"{len(self._entries)} requests in {lasted:.0f} s to {len(self.servers)} servers "
            f"({self._form}{skipped})",
            f"as it was: {100 * good:.2f} % good, p50 {span(1000 * _at(took, 0.5))}, "
            f"p99 {span(1000 * _at(took, 0.99))}",
            f"a server works on {room} at once: {self.slots.why}",
        ]

    def _model(self) -> dict[str, Any]:
        """What of a plan of the laboratory the log says: one of it serves all plans, as large logs
        are large."""
        begin = self._entries[0].at
        recorded = [
            {
                "at": round((entry.at - begin) * 1e6),
                "client": entry.client,
                "key": entry.key,
                "work": max(round(1e6 * self._speeds.plain(entry, work)), 1),
            }
            for entry, work in zip(self._entries, self._work, strict=True)
        ]
        room: Any = "endless" if self.slots.number is None else {"slots": self.slots.number}
        models = [
            {
                "service": {"of_request": {"times": self._speeds.own(name)}},
                "room": room,
                "pace": "steady",
                "faults": self._speeds.faults(name, begin),
            }
            for name in self.servers
        ]
        return {
            "arrivals": {"recorded": recorded},
            "servers": models,
            "length": recorded[-1]["at"] + 1,
        }

    def _plan(self, plan: dict[str, Any], model: dict[str, Any]) -> dict[str, Any]:
        """A plan of the laboratory with this model in it."""
        for server, name in zip(plan["pool"]["servers"], self.servers, strict=True):
            server["id"] = name
        return {**plan, **model}


def usual() -> list[str]:
    """The usual schedulers, as far as a configuration can name them."""
    scheduler = POOL.keys["scheduler"].type
    assert isinstance(scheduler, Section)
    words = getattr(scheduler.keys["name"].type, "words", ())
    return [name for name in USUAL if name in words]


class _Speeds:
    """How fast each server was when, as times what all take: 2 is twice as slow."""

    def __init__(self, entries: Sequence[Entry], work: Sequence[float | None], told: float) -> None:
        known: dict[tuple[str, int], list[float]] = defaultdict(list)
        failed: dict[tuple[str, int], list[Entry]] = defaultdict(list)
        self._all = 0.0
        begin = entries[0].at
        self._begin = begin
        for entry, spent in zip(entries, work, strict=True):
            if entry.server is None:
                continue
            window = (entry.server, int((entry.at - begin) / WINDOW))
            if entry.status >= 500:
                failed[window].append(entry)
            elif spent is not None:
                known[window].append(spent)
        every = [spent for spents in known.values() for spent in spents]
        if not every:
            raise _too_little("no request of the log has both a server and a time")
        # What is told as nothing took half of the least that can be told, in the mean.
        self._least, self._told = told / 2, told
        self._all = max(median(every), self._least)
        self._own: dict[str, float] = {}
        for name in {name for name, _ in known}:
            own = [
                spent for (server, _), spents in known.items() if server == name for spent in spents
            ]
            self._own[name] = max(median(own), self._least) / self._all
        self._windows = {
            window: max(median(spents), self._least) / self._all
            for window, spents in known.items()
            if len(spents) >= ENOUGH and self._is_odd(window[0], median(spents))
        }
        self._failed = {
            window: broken
            for window, broken in failed.items()
            if len(broken) >= 3 and len(broken) > len(known.get(window, ()))
        }
        self.odd = sorted({name for name, _ in [*self._windows, *self._failed]})

    def own(self, server: str) -> float:
        """The speed of a server when nothing is odd."""
        return self._own.get(server, 1.0)

    def plain(self, entry: Entry, work: float | None) -> float:
        """The work of a request at a server of ordinary speed, in seconds."""
        if work is None or entry.server is None or entry.status >= 500:
            return self._all
        window = (entry.server, int((entry.at - self._begin) / WINDOW))
        return work / self._windows.get(window, self.own(entry.server))

    def faults(self, server: str, begin: float) -> list[dict[str, Any]]:
        """The windows in which a server was odd."""
        made = []
        for (name, at), broken in self._failed.items():
            if name == server:
                status = Counter(entry.status for entry in broken).most_common(1)[0][0]
                after = median(entry.took or 0.001 for entry in broken)
                made.append(
                    _fault(at, {"answers": {"status": status, "after": round(1e6 * after)}})
                )
        for (name, at), times in self._windows.items():
            if name == server and (name, at) not in self._failed:
                made.append(_fault(at, {"takes": {"of_request": {"times": times}}}))
        return made

    def _is_odd(self, server: str, spent: float) -> bool:
        own = self.own(server) * self._all
        return not own / ODD <= spent <= own * ODD and abs(spent - own) > self._told


def _fault(window: int, what: Any) -> dict[str, Any]:
    begin = round(window * WINDOW * 1e6)
    return {"from": begin, "until": begin + round(WINDOW * 1e6), "what": what, "flaps": None}


def _of_pool(log: Log, pool: str | None) -> list[Entry]:
    if not log.entries and not log.unread:
        raise LabError("the log is empty")
    if not log.entries:
        error = LabError("no line of the log is in a form that is known")
        error.remedy = "known are Evener's JSON, HAProxy's httplog and the combined format"
        if log.packed:
            error.remedy = "it is packed: unpack it first, as `zcat` does"
        raise error
    # A proxy's own pages stand under its frontend's name, without a server.
    pools = Counter(entry.pool for entry in log.entries if entry.pool and entry.server)
    if pool is None and len(pools) > 1:
        error = LabError("the log has several pools: " + ", ".join(sorted(pools)))
        error.remedy = f"say which: --pool {pools.most_common(1)[0][0]}"
        raise error
    if pool is not None and pool not in pools:
        error = LabError(f"the log has no pool `{pool}`")
        error.remedy = (
            "it has: " + ", ".join(sorted(pools)) if pools else f"{log.form} names no pools"
        )
        raise error
    found = [entry for entry in log.entries if pool is None or entry.pool == pool]
    timed = [entry for entry in found if entry.server and entry.took is not None]
    if not timed:
        error = _too_little("no request of the log has both a server and a time")
        error.remedy = (
            "with nginx: add `$upstream_addr $upstream_response_time` to the log_format; "
            "with Evener: `format: json`"
        )
        raise error
    return timed


def _too_little(text: str) -> LabError:
    return LabError(text)


def _work(
    by_server: dict[str | None, list[Entry]], slots: int | None, told: float
) -> list[float | None]:
    """What servers spent on each request, in the order of all arrivals."""
    spent: list[tuple[float, int, float | None]] = []
    for entries in by_server.values():
        found, _ = _spent(entries, slots, told)
        spent += [(entry.at, id(entry), work) for entry, work in zip(entries, found, strict=True)]
    by_id = {number: work for _, number, work in spent}
    ordered = sorted((entry for entries in by_server.values() for entry in entries), key=_arrival)
    return [by_id[id(entry)] for entry in ordered]


def _arrival(entry: Entry) -> float:
    return entry.at


def _spent(
    entries: Sequence[Entry], slots: int | None, told: float
) -> tuple[list[float | None], int]:
    """What a server spent on each, if it began them in order with so many slots; and how many
    then ended before they could have begun, by more than two roundings."""
    if slots is None:
        return [entry.took for entry in entries], 0
    free = [float("-inf")] * slots
    spent: list[float | None] = []
    odd = 0
    for entry in entries:
        end = entry.at + (entry.took or 0.0)
        begin = max(entry.at, heapq.heappop(free))
        odd += end <= begin - 2 * told
        spent.append(max(end - begin, 0.0) if end > begin - 2 * told else None)
        heapq.heappush(free, max(end, begin))
    return spent, odd


def _estimated(by_server: dict[str | None, list[Entry]], told: float) -> Slots:
    """The number of slots with which work does not hang on how many were there."""
    crowds = {name: _crowds(entries) for name, entries in by_server.items()}
    most = max(max(crowd) for crowd in crowds.values())
    if most < 2:
        return Slots(None, "no two requests met at a server, so that nothing is known of it")
    best: tuple[float, int | None] = (abs(_hangs(by_server, crowds, None, told)), None)
    slots = 1
    while slots <= most:
        pairs = [_spent(entries, slots, told)[1] for entries in by_server.values()]
        if sum(pairs) <= 0.01 * sum(len(entries) for entries in by_server.values()):
            hangs = abs(_hangs(by_server, crowds, slots, told))
            best = min(best, (hangs, slots), key=lambda it: it[0])
        slots *= 2
    hangs, number = best
    what = "the number with which the time of a request does not hang on how many were there"
    return Slots(number, f"{what} (correlation {hangs:.2f})")


def _crowds(entries: Sequence[Entry]) -> list[int]:
    """How many were there when each arrived."""
    open_: list[float] = []
    crowds = []
    for entry in entries:
        while open_ and open_[0] <= entry.at:
            heapq.heappop(open_)
        crowds.append(len(open_))
        heapq.heappush(open_, entry.at + (entry.took or 0.0))
    return crowds


def _hangs(
    by_server: dict[str | None, list[Entry]],
    crowds: dict[str | None, list[int]],
    slots: int | None,
    told: float,
) -> float:
    """The correlation of work and crowd over all servers."""
    pairs = [
        (float(crowd), work)
        for name, entries in by_server.items()
        for crowd, work in zip(crowds[name], _spent(entries, slots, told)[0], strict=True)
        if work is not None
    ]
    if not pairs:
        return 1.0
    x, y = fmean(crowd for crowd, _ in pairs), fmean(work for _, work in pairs)
    both = sum((crowd - x) * (work - y) for crowd, work in pairs)
    one = sum((crowd - x) ** 2 for crowd, _ in pairs)
    other = sum((work - y) ** 2 for _, work in pairs)
    return both / (one * other) ** 0.5 if one and other else 0.0


def _at(ordered: Sequence[float], part: float) -> float:
    return ordered[min(int(part * len(ordered)), len(ordered) - 1)]
