"""Play probes to all three programs at once, through several doors each.

Rules kept here:
- A door has one probe at a time, so that what its origin saw is the probe's.
- Each probe comes from an address of its own: Evener's log says by it why it refused.
"""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.conformance.http1.differential import play
from tests.conformance.http1.differential.fronts import NAMES, Door, Fronts, versions
from tests.conformance.http1.differential.play import Outcome
from tests.conformance.http1.differential.probes import Probe
from tests.e2e.rig.places import short_directory
from tests.e2e.rig.waiting import eventually

RECORD = Path(__file__).parent / "differences.json"
DOORS = 8


@dataclass(frozen=True)
class Played:
    """A probe, what became of it at each, and Evener's cause where it refused."""

    probe: Probe
    outcomes: dict[str, Outcome]
    cause: str

    @property
    def differs(self) -> bool:
        """Whether one of them did something else than the others."""
        return len({outcome.kind for outcome in self.outcomes.values()}) > 1


def played(probes: Sequence[Probe], doors: int = DOORS) -> list[Played]:
    """Plays all probes to all three."""
    outcomes: dict[tuple[str, int], Outcome] = {}
    with short_directory() as home, ExitStack() as ends:
        fronts = Fronts(home, doors, ends)
        threads = []
        for name in NAMES:
            waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
            for at in range(len(probes)):
                waiting.put(at)
            for door in fronts.doors[name]:
                arguments = (door, probes, waiting, outcomes)
                threads.append(threading.Thread(target=_work, args=arguments))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        refused = {
            _source(at)
            for at, probe in enumerate(probes)
            if probe.ask is None and outcomes["evener", at].kind == ("refused",)
        }
        eventually(lambda: refused <= fronts.causes().keys(), what="all refusals are logged")
        causes = fronts.causes()
    found = []
    for at, probe in enumerate(probes):
        here = {name: outcomes[name, at] for name in NAMES}
        cause = causes.get(_source(at), "") if here["evener"].refuses else ""
        found.append(Played(probe, here, cause))
    return found


def record(every: Sequence[Played]) -> dict[str, Any]:
    """What is kept: of each family how many probes there were, and those that differ."""
    families: dict[str, dict[str, Any]] = {}
    for one in every:
        family = families.setdefault(
            one.probe.family, {"what": one.probe.what, "probes": 0, "differ": []}
        )
        family["probes"] += 1
        if one.differs:
            family["differ"].append(
                {
                    "send": _escaped(one.probe.send),
                    "cause": one.cause,
                    **{name: outcome.words for name, outcome in one.outcomes.items()},
                }
            )
    return {"versions": versions(), "families": families}


def write(recorded: dict[str, Any]) -> None:
    """Keeps a record."""
    RECORD.write_text(json.dumps(recorded, indent=1, ensure_ascii=False) + "\n")


def read() -> dict[str, Any]:
    """The record that is kept."""
    found: dict[str, Any] = json.loads(RECORD.read_text())
    return found


def _work(
    door: Door,
    probes: Sequence[Probe],
    waiting: queue.SimpleQueue[int],
    outcomes: dict[tuple[str, int], Outcome],
) -> None:
    while True:
        try:
            at = waiting.get_nowait()
        except queue.Empty:
            return
        carry_out = play.ask if probes[at].ask is None else play.answer
        outcomes[door.front, at] = carry_out(door, probes[at], _source(at))


def _source(at: int) -> str:
    return f"127.{200 + at // 62500}.{at // 250 % 250}.{1 + at % 250}"


def _escaped(send: bytes) -> str:
    named = {13: "\\r", 10: "\\n", 9: "\\t", 0: "\\0", 92: "\\\\"}
    return "".join(
        named.get(byte) or (chr(byte) if 0x20 <= byte < 0x7F else f"\\x{byte:02x}") for byte in send
    )
