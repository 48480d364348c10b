"""The `evener` command: everything a person types.

Rules kept here:
- Data on stdout, words on stderr; exit codes 0 done, 1 failed, 2 usage or configuration, 3 no
  instance to talk to.
- A command imports what it needs when it runs: those that only talk to the socket stay light.
Not known here: how anything is done.
"""

import os
import signal
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from os import PathLike

    from evener.config import Config

#: The commands that are an instance.
INSTANCES = frozenset({"run", "quick"})


def main() -> None:
    """The entry point of the installed command."""
    if INSTANCES.intersection(sys.argv[1:2]):
        from evener.worker import SIGNALS

        # They wait until there is somebody to obey them: a HUP would end what has just begun.
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    from evener.cli.app import app
    from evener.cli.words import unwritten

    try:
        app(prog_name="evener")
    except OSError as error:
        unwritten(error)


def run(config: "Config | str | PathLike[str]") -> int:
    """Runs an instance until it is told to stop, as `evener run` does; blocks.

    Args:
        config: What to serve: a `Config`, of which a reload resolves the names and reads the
            certificates anew, or the path of a file, which a reload reads again.

    Returns:
        How many connections the end cut; 0 is a clean stop.

    Raises:
        EvenerError: it cannot start; the text says why, `remedy` what to do.
    """
    from evener.cli.serve import serve
    from evener.config import Config, ConfigError, Problem
    from evener.config.rules import NO_LISTENER
    from evener.control.source import BuiltSource
    from evener.control.surroundings import SurveyedFile

    if not isinstance(config, Config):
        return serve(SurveyedFile(os.fspath(config)))
    if not config.settings.listeners:
        raise ConfigError([Problem(config.place("listeners"), "listeners", *NO_LISTENER)])
    return serve(BuiltSource(config))
