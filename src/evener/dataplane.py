"""The one door to the extension, besides `worker` and `config.text`.

Rules kept here:
- What crosses is descriptors, numbers and JSON text, so that the other side can change its types.
- The extension is loaded at first use: commands that only talk to a socket never load it.
- One of another version is not used: the two halves change together.
- What fails there is Evener's error here.
Not known here: what the numbers are for.
"""

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from evener.errors import EvenerError


class DataplaneError(EvenerError):
    """The data plane's counters cannot be read; the text says why."""


def hello() -> dict[str, Any]:
    """What both sides of a control socket must agree on: protocol, build, schema, layout."""
    from evener import _engine

    _refuse_other_version(_engine.__version__)
    return dict(_engine.hello())


def _refuse_other_version(found: str) -> None:
    from evener import __version__

    if found != __version__:
        raise ImportError(
            f"evener {__version__} has an extension of version {found}: "
            f"install it anew (`pip install --force-reinstall evener`, in a checkout `make setup`)"
        )


def plan_refusals(plan: dict[str, Any], secrets: Mapping[str, str], shards: int) -> list[str]:
    """What a worker with so many shards would refuse of a plan, a sentence each."""
    from evener import _engine

    _refuse_other_version(_engine.__version__)
    return _engine.plan_refusals(json.dumps(plan), dict(secrets), shards)


def pem_refusal(pem: str, *, key: bool) -> str | None:
    """What is wrong with a certificate chain and its key, or without `key` with authorities."""
    from evener import _engine

    _refuse_other_version(_engine.__version__)
    return _engine.pem_refusal(pem, key)


class Counters:
    """The counters of one instance, summed over the segments of its worker lives.

    Args:
        living: Descriptors of the serving worker's segments: its shards', then its prober's.
        retired: Descriptors of segments whose worker has ended; gauges are not read from them.

    Raises:
        DataplaneError: one cannot be mapped.
    """

    def __init__(self, living: Sequence[int], retired: Sequence[int]) -> None:
        from evener import _engine

        _refuse_other_version(_engine.__version__)
        with _told():
            self._segments = _engine.Segments(list(living), list(retired))

    def stamps(self) -> list[int]:
        """A number per living segment that changes at each turn of its writer.

        Raises:
            DataplaneError: a segment is not what it should be.
        """
        with _told():
            return list(self._segments.stamps())

    def totals(self) -> str:
        """All sums, as the JSON text that `evener.telemetry.totals` reads.

        Raises:
            DataplaneError: a segment is not what it should be.
        """
        with _told():
            text: str = self._segments.totals_json()
        return text

    def prometheus(self, facts: dict[str, Any]) -> str:
        """The Prometheus page; `facts` is what counters cannot say (states, generation…).

        Raises:
            DataplaneError: a segment is not what it should be.
        """
        with _told():
            page: str = self._segments.prometheus(json.dumps(facts))
        return page


@contextlib.contextmanager
def _told() -> Iterator[None]:
    from evener import _engine

    try:
        yield
    except _engine.EngineFailedError as error:
        raise DataplaneError(str(error)) from error
