"""Words to the person at the terminal, and the exit codes they come with.

Rules kept here:
- Words go to stderr: a line of what, and a line of what to do.
- Colour only on a terminal, and never with NO_COLOR (no-color.org).
"""

import os
import sys
from collections.abc import Callable
from functools import wraps
from typing import NoReturn, ParamSpec, TypeVar

import click

from evener.control.errors import NoInstanceError
from evener.errors import EvenerError

FAILED, USAGE, NO_INSTANCE = 1, 2, 3

_P = ParamSpec("_P")
_T = TypeVar("_T")


def coloured(stream: int = 1) -> bool:
    """Whether a stream (1 stdout, 2 stderr) shows colours."""
    return os.isatty(stream) and not os.environ.get("NO_COLOR")


def say(text: str) -> None:
    """A line for the person."""
    click.echo(text, err=True)


def fail(text: str, remedy: str = "", code: int = FAILED) -> NoReturn:
    """Says what went wrong and what to do, and ends the command."""
    mark = click.style("error:", fg="red", bold=True) if coloured(2) else "error:"
    first, *more = text.splitlines() or [""]
    say(f"{mark} {first}")
    for line in more:
        say(f"       {line}")
    if remedy:
        say(f"  {remedy}")
    sys.exit(code)


def told(command: Callable[_P, _T]) -> Callable[_P, _T]:
    """Turns the errors a command may end with into words and an exit code."""

    @wraps(command)
    def wrapped(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        try:
            return command(*args, **kwargs)
        except NoInstanceError as error:
            fail(str(error), error.remedy, NO_INSTANCE)
        except EvenerError as error:
            fail(str(error), error.remedy)

    return wrapped
