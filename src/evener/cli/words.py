"""Words to the person at the terminal, and the exit codes they come with.

Rules kept here:
- Words go to stderr: a line of what, and a line of what to do.
- Data that cannot be written is an error as any other; words that cannot are nobody's.
- Colour only on a terminal, and never with NO_COLOR (no-color.org).
"""

import errno
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
    try:
        click.echo(text, err=True)
    except OSError:
        _drop(2)


def unwritten(error: OSError) -> NoReturn:
    """Ends a command whose data could not be written to stdout; any other error goes on."""
    if error.errno not in _UNWRITTEN or error.filename is not None:
        raise error
    _drop(1)
    fail(f"cannot write to stdout: {error.strerror}")


#: write(2): the disk or the quota is full, the file too long, the device gone, a pipe full that
#: somebody has set to not wait. A pipe without a reader is click's: it ends with 1, without a word.
_UNWRITTEN = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EAGAIN)


def _drop(stream: int) -> None:
    """What is held for a stream is lost: Python would try it once more, and end with 120."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream)
    os.close(nowhere)


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
