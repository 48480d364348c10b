"""The studies of quality, run with all their seeds on all processors."""

from __future__ import annotations

from typing import Any

from evener.lab import engine
from evener.lab.engine import LabError
from evener.lab.runs import processors

SEEDS = range(1, 6)


def studies(name: str | None = None) -> list[dict[str, Any]]:
    """All studies, or the one of this name: its facts and its `rows`.

    Raises:
        LabError: there is no such study.
    """
    known = engine.studies()
    wanted = [study for study in known if name in (None, study.name)]
    if not wanted:
        error = LabError(f"there is no study `{name}`")
        error.remedy = "there are: " + ", ".join(study.name for study in known)
        raise error
    with processors() as threads:
        futures = [
            (study, [threads.submit(engine.study, study.name, seed) for seed in SEEDS])
            for study in wanted
        ]
        return [
            {**study._asdict(), "rows": _together([run.result() for run in runs])}
            for study, runs in futures
        ]


def _together(runs: list[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Rows of several seeds as rows with several figures."""
    return [
        {**same[0], "found": [figure for row in same for figure in row["found"]]}
        for same in zip(*runs, strict=True)
    ]
