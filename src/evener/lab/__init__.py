"""The laboratory: schedulers compared under simulated load, on a pattern of the user's own.

Rules kept here:
- What picks is what serves: scenarios become plans by the configuration's own schema and compiler,
  and run in Rust on the shipped schedulers. Equal seeds give equal figures.
- Reading a scenario or a log is pure; only `evener.cli` reads files and writes plots.
Not known here: a running instance.

Example:
    >>> from evener.lab import Scenario, compare
    >>> scenario = Scenario({"length": "5s", "arrivals": {"rate": "100/s"},
    ...                      "servers": [{"count": 3, "time": "10ms"}]})
    >>> [result] = compare(scenario, seeds=1)
    >>> result.scheduler, result.good
    ('nginx/round_robin', 1.0)
"""

from evener.lab.engine import LabError
from evener.lab.results import Result
from evener.lab.runs import compare
from evener.lab.scenario import Scenario

__all__ = ["LabError", "Result", "Scenario", "compare"]
