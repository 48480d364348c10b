"""The extension module: the Rust side of Evener."""

from typing import final

__all__ = [
    "EngineFailedError",
    "LabError",
    "Segments",
    "YamlError",
    "__version__",
    "hello",
    "lab_run",
    "lab_studies",
    "lab_study",
    "pattern_refusal",
    "pem_refusal",
    "plan_refusals",
    "serve",
    "yaml_events",
]

__version__: str

class YamlError(ValueError):
    """A text that is no YAML: args are (line, column, message, hint or None)."""

    args: tuple[int, int, str, str | None]

def yaml_events(text: str) -> list[tuple[int, int, int, int, str]]:
    """The events of a YAML text: (kind, line, column, anchor, text).

    Kinds: 0 mapping, 1 sequence, 2 end, 3 plain scalar, 4 quoted scalar, 5 alias.
    """

def hello() -> dict[str, int | str]:
    """What both sides of a control socket must agree on: protocol, build, schema, layout."""

def serve(control_socket: str) -> None:
    """Serves as a worker, listening for its supervisor at this path; the GIL is released.

    Returns when it has drained or was told to stop.

    Raises:
        OSError: it cannot listen there, or lacks a thread.
        EngineFailedError: it cannot serve on (a shard has ended).
    """

class EngineFailedError(RuntimeError):
    """The data plane cannot begin, serve on or read its counters; the text says why."""

def plan_refusals(plan: str, secrets: dict[str, str], shards: int) -> list[str]:
    """What a worker with so many shards would refuse of a plan (JSON), a sentence each.

    Nothing of it is served, and its policies are not begun; `secrets` are PEM texts by id.
    """

def pattern_refusal(text: str) -> str | None:
    """What is wrong with a regular expression of a route; None if nothing is."""

def pem_refusal(pem: str, key: bool) -> str | None:
    """What is wrong with a certificate chain and its key, or without `key` with authorities."""

class LabError(ValueError):
    """A scenario that cannot be run; the text says why."""

def lab_run(scenario: str, slices: int) -> str:
    """Runs a scenario in the laboratory; the GIL is released.

    The texts are the JSON forms of evener-lab's `Scenario` and `Summary`.

    Raises:
        LabError: it is none, or makes no sense.
    """

def lab_studies() -> list[tuple[str, str, str, str]]:
    """The studies of quality: (name, title, model, source)."""

def lab_study(name: str, seed: int) -> str:
    """The rows of a study with one seed, as JSON; the GIL is released.

    Raises:
        LabError: there is no such study.
    """

@final
class Segments:
    """Counter segments of an instance, read through descriptors that stay the caller's."""

    def __new__(cls, living: list[int], retired: list[int]) -> Segments:
        """Takes the descriptors' files, which may be closed afterwards; an empty one is nothing.

        Raises:
            OSError: one is no open descriptor.
            ValueError: one is negative.
        """

    def stamps(self) -> list[int]:
        """The last stamp of each living segment, in the order given; 0 before the first."""

    def totals_json(self) -> str:
        """All sums, in the form that `evener.telemetry.totals` describes."""

    def prometheus(self, facts_json: str) -> str:
        """The Prometheus page; the facts have the form of evener-stats' `Extras`."""
