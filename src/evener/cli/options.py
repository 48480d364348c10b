"""Options that several commands share."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

_F = TypeVar("_F", bound=Callable[..., Any])


def instance(command: _F) -> _F:
    """`--run` and `--config`: which instance is meant."""
    command = click.option("--config", metavar="FILE", help="The instance that runs this file.")(
        command
    )
    return click.option("--run", metavar="DIR", help="The instance of this run directory.")(command)


def as_json(command: _F) -> _F:
    """`--json`: the same data for programs."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)
