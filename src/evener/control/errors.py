"""What can go wrong in the supervisor, one class per cause a caller treats differently.

Each error says what happened in its text and, where a person can act, how in `remedy`.
"""

from collections.abc import Sequence
from pathlib import Path

from evener.errors import EvenerError


class ControlError(EvenerError):
    """Something the supervisor could not do.

    Args:
        text: What happened and where, in one line.
        remedy: What a person can do about it; empty when there is nothing to say.
    """

    def __init__(self, text: str, remedy: str = "") -> None:
        super().__init__(text)
        self.remedy = remedy


class LinesError(ControlError):
    """Several things failed at once, each named in a line of its own."""

    def __init__(self, lines: Sequence[str], remedy: str = "") -> None:
        super().__init__("\n".join(lines), remedy)
        self.lines = tuple(lines)


class InstanceError(ControlError):
    """The run directory is taken, unsafe or cannot be made."""


class NoInstanceError(ControlError):
    """No living instance answers where one was looked for."""


class OrphanError(NoInstanceError):
    """No supervisor lives where one was looked for, but workers of one that died serve on.

    Args:
        run: Their run directory.
        workers: Their process ids.
    """

    def __init__(self, run: Path, workers: Sequence[int]) -> None:
        named = ", ".join(map(str, workers))
        serve = f"worker {named} serves" if len(workers) == 1 else f"workers {named} serve"
        super().__init__(
            f"the supervisor of the instance in {run} is dead, {serve} on",
            "`evener run` takes over from there, `evener stop` ends what is left",
        )
        self.run = run
        self.workers = tuple(workers)


class NotAllowedError(ControlError):
    """An instance lives, and this user may not talk to it."""


class BindError(LinesError):
    """Addresses that could not be bound; none of the new ones is open."""


class CertificateError(LinesError):
    """Certificates or keys that could not be read."""


class ConfigRefusedError(LinesError):
    """The configuration was refused; a running plan goes on."""


class ProtocolError(ControlError):
    """The worker said something that is not the control protocol."""


class RefusedError(LinesError):
    """The worker answered a command with errors."""


class LinkLostError(ControlError):
    """The connection to the worker ended, or an answer did not come in time."""


class HelloMismatchError(ControlError):
    """The worker is of another build than this supervisor."""


class StartError(ControlError):
    """The worker could not be brought to serve."""
