"""The laboratory's door to the extension.

What crosses is JSON text, so that either side can change its types; what fails there is Evener's
error here.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from evener.errors import EvenerError


class LabError(EvenerError):
    """A scenario or a study that cannot be run; the text says why."""


class Study(NamedTuple):
    """A study of quality: a model with its parameters, and where it comes from."""

    name: str
    title: str
    model: str
    source: str


def run(scenario: dict[str, Any], slices: int) -> dict[str, Any]:
    """Runs a scenario in the form of evener-lab's `Scenario`; gives its `Summary`.

    Raises:
        LabError: it makes no sense.
    """
    from evener import _engine

    try:
        summary: dict[str, Any] = json.loads(_engine.lab_run(json.dumps(scenario), slices))
    except _engine.LabError as error:
        raise LabError(str(error)) from None
    return summary


def studies() -> list[Study]:
    """All studies of quality."""
    from evener import _engine

    return [Study(*study) for study in _engine.lab_studies()]


def study(name: str, seed: int) -> list[dict[str, Any]]:
    """The rows of a study with one seed: what, unit, must, found.

    Raises:
        LabError: there is no such study.
    """
    from evener import _engine

    try:
        rows: list[dict[str, Any]] = json.loads(_engine.lab_study(name, seed))
    except _engine.LabError as error:
        raise LabError(str(error)) from None
    return rows
