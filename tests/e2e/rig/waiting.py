"""Wait for a condition, with a bound; nothing here or in the tests just sleeps and hopes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

_T = TypeVar("_T")

#: Seconds between two looks: short beside anything that is waited for.
LOOK = 0.01


def eventually(
    condition: Callable[..., _T | None], within: float = 10.0, what: str = "", every: float = LOOK
) -> _T:
    """What `condition` returns as soon as that is true.

    Args:
        condition: Looked at again and again; an AssertionError counts as not yet.
        within: Seconds until the wait fails.
        what: What is waited for, in the words of the failure.
        every: Seconds between two looks.
    """
    end = time.monotonic() + within
    while True:
        wrong: AssertionError | None = None
        try:
            if value := condition():
                return value
        except AssertionError as error:
            wrong = error
        if time.monotonic() >= end:
            raise AssertionError(f"not within {within:g} s: {what or condition}") from wrong
        time.sleep(every)


def during(seconds: float, always: Callable[[], object], every: float = LOOK) -> None:
    """Checks for so long that `always` stays true: for promises that something does not happen."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert always()
        time.sleep(every)


def rest(seconds: float) -> None:
    """Lets a peer wait: for tests of how long it does."""
    time.sleep(seconds)
