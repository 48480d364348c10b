"""`evener run`, `evener check`, `evener quick`: what begins with a configuration."""

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from evener.cli.words import FAILED, USAGE, fail, say, told
from evener.control.errors import LinesError

if TYPE_CHECKING:
    from evener.config import ConfigError

#: Where a file is looked for when none is named.
SYSTEM_FILE = "/etc/evener/evener.yaml"


@click.command()
@click.argument("file", required=False)
@click.option("--config", metavar="FILE", help="The same as FILE.")
@click.option("--run", metavar="DIR", help="Run directory; outranks evener.run of the file.")
@told
def run(file: str | None, config: str | None, run: str | None) -> None:
    """Run an instance from FILE until it is told to stop.

    Without FILE: EVENER_CONFIG, ./evener.yaml (not for root), /etc/evener/evener.yaml.
    Ctrl-C or TERM lets work in hand end; a second one ends at once. HUP reads the file again.

    \b
    Examples:
      evener run evener.yaml
      evener run --run /tmp/second evener.yaml     (a second instance beside the first)
    """
    path = _file(file, config)
    from evener.cli.serve import serve
    from evener.control.errors import CertificateError, ConfigRefusedError, RefusedError
    from evener.control.surroundings import SurveyedFile

    try:
        serve(SurveyedFile(path), run=Path(run) if run else None)
    except (ConfigRefusedError, CertificateError, RefusedError) as error:
        _refused(error)


@click.command()
@click.argument("file", required=False)
@click.option("--config", metavar="FILE", help="The same as FILE.")
@told
def check(file: str | None, config: str | None) -> None:
    """Say all that is wrong with FILE, or that nothing is.

    Runs what a reload runs: certificates, policies, logs, groups and directories of this machine,
    and the engine's making of a plan. Names are not resolved, and ports are not tried. Run it as
    the user who runs the instance.

    \b
    Examples:
      evener check evener.yaml
      evener check && evener reload
    """
    path = _file(file, config)
    from evener.config import Config, ConfigError
    from evener.control.rehearsal import rehearse

    try:
        config_ = Config.load(path)
        compiled = rehearse(config_)
    except ConfigError as error:
        fail(error.render(), code=USAGE)
    for warning in compiled.warnings:
        if "does not resolve" not in warning:  # none was asked
            say(f"warning: {warning}")
    click.echo(f"ok: {config_.summary()}")


@click.command()
@click.argument("bind")
@click.argument("servers", nargs=-1, required=True, metavar="SERVER…")
@click.option("--save", metavar="FILE", help="Write the configuration to FILE, and run nothing.")
@told
def quick(bind: str, servers: tuple[str, ...], save: str | None) -> None:
    """Balance requests to BIND over the SERVERs at once, without a file.

    A server that refuses or times out leaves for 10 s and is checked back in.
    `:8000` alone as SERVER is 127.0.0.1:8000.

    \b
    Examples:
      evener quick :8080 10.0.0.1:8000 10.0.0.2:8000
      evener quick :8080 :8001 :8002 :8003
      evener quick --save evener.yaml :8080 :8001 :8002
    """
    from evener.config import Config, ConfigError

    try:
        config = Config.quick(bind, servers)
        config.check()
    except ConfigError as error:
        fail(_typed(error, " ".join(["evener quick", bind, *servers])), code=USAGE)
    if save is not None:
        _save(config.to_yaml(), Path(save))
        return
    from evener.cli.serve import serve
    from evener.control.source import BuiltSource

    serve(BuiltSource(config), quick=True)


def _refused(error: LinesError) -> NoReturn:
    """The words of `check`, where a configuration is what was refused."""
    from evener.config import ConfigError

    cause = error.__cause__
    fail(cause.render() if isinstance(cause, ConfigError) else str(error), error.remedy, USAGE)


def _typed(error: "ConfigError", line: str) -> str:
    """What is wrong with a line that was typed: its tree is in no file."""
    told = []
    for problem in error.problems:
        server = re.match(r"pools\.app\.servers\[(\d+)\]", problem.path)
        number = int(server[1]) + 1 if server else 0
        path = f"SERVER {number}" if server else "BIND"
        hint = "" if problem.place.file in problem.hint else problem.hint
        place = problem.place._replace(file=line)
        told.append((number, problem._replace(place=place, path=path, hint=hint).render()))
    return "\n".join(words for _, words in sorted(told))


def _save(text: str, path: Path) -> None:
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        fail(f"{path} is there already", "name another file, or remove it", FAILED)
    except OSError as error:
        fail(f"cannot write {path}: {error.strerror}")
    say(f"written; run it with: evener run {path}")


def _file(file: str | None, config: str | None) -> str:
    """The file that is meant: as named, else the first there is in the order of CONFIG.md."""
    if file and config and file != config:
        fail(f"two files: {file} and {config}", "name one", USAGE)
    if named := file or config or os.environ.get("EVENER_CONFIG"):
        return named
    here = Path("evener.yaml")
    if here.exists():
        if os.geteuid() != 0:
            return str(here)
        say("./evener.yaml is left alone: as root a file of the working directory must be named")
    if Path(SYSTEM_FILE).exists():
        return SYSTEM_FILE
    return fail(
        f"no configuration: neither ./evener.yaml nor {SYSTEM_FILE} is used",
        "name a file, or try: evener quick :8080 SERVER SERVER",
        USAGE,
    )
