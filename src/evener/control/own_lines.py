"""The workers' counters, with the lines that the supervisor's own log has lost among them.

Rules kept here:
- Segments are written by workers alone: what the supervisor has to add is added to what is read.
- While nothing is lost, what is read passes through as it is.
Not known here: how lines are lost (`log_writer`).
"""

import json
import re
from typing import Any

from evener.control.log_writer import lost
from evener.control.upkeep import CountersOf

_METRIC = 'evener_log_lines_lost_total{log="event"}'
_SAMPLE = re.compile(rf"^({re.escape(_METRIC)}) (\d+)$", re.MULTILINE)


class WithOwnLines:
    """Counters as `CountersOf` has them."""

    def __init__(self, counters: CountersOf) -> None:
        self._counters = counters

    def stamps(self) -> list[int]:
        """As `CountersOf`."""
        return self._counters.stamps()

    def totals(self) -> str:
        """As `CountersOf`."""
        text = self._counters.totals()
        if not (lines := lost()):
            return text
        totals = json.loads(text)
        entries = totals.setdefault("worker", [])
        if not entries:
            entries.append({"names": [], "values": {}, "histograms": {}})
        values = entries[0]["values"]
        values[_METRIC] = values.get(_METRIC, 0) + lines
        return json.dumps(totals)

    def prometheus(self, facts: dict[str, Any]) -> str:
        """As `CountersOf`."""
        page = self._counters.prometheus(facts)
        if not (lines := lost()):
            return page
        return _SAMPLE.sub(lambda found: f"{found[1]} {int(found[2]) + lines}", page)
