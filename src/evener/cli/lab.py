"""`evener lab`: schedulers compared in virtual time, on a scenario or on one's own access log."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from evener.cli.options import as_json
from evener.cli.words import FAILED, USAGE, fail, say, told


@click.group()
def lab() -> None:
    """Try schedulers under simulated load, in virtual time.

    \b
    Examples:
      evener lab run slow.yaml --scheduler round_robin,least_conn
      evener lab replay access.log
      evener lab compare
    """


def _schedulers(given: tuple[str, ...]) -> list[str]:
    """Names apart by commas; those in braces have parameters and commas of their own."""
    names: list[str] = []
    for text in given:
        if "{" in text:
            names.append(text)
        else:
            names += [name.strip() for name in text.split(",") if name.strip()]
    return names


_scheduler = click.option(
    "--scheduler",
    "schedulers",
    multiple=True,
    metavar="NAME,…",
    help="Schedulers to compare, as in a configuration: wlc, lvs/wlc, '{name: prequal, hot: 50%}'.",
)
_plot = click.option(
    "--plot", type=click.Path(path_type=Path), metavar="FILE", help="Draw them to FILE (.svg .png)."
)


@lab.command()
@click.argument("scenario", type=click.Path(path_type=Path))
@_scheduler
@click.option(
    "--seeds", type=click.IntRange(1, 1000), default=5, show_default=True, help="Runs of each."
)
@_plot
@as_json
@told
def run(
    scenario: Path, schedulers: tuple[str, ...], seeds: int, plot: Path | None, as_json: bool
) -> None:
    """Run SCENARIO, a YAML file, under each scheduler; say what comes.

    \b
    Examples:
      evener lab run slow.yaml
      evener lab run slow.yaml --scheduler round_robin,least_conn --seeds 10
      evener lab run slow.yaml --scheduler least_conn --plot slow.svg
    """
    from evener.config import ConfigError
    from evener.lab import Scenario, compare, tables

    try:
        read = Scenario.load(scenario)
        results = compare(read, _schedulers(schedulers), seeds=seeds)
    except ConfigError as error:
        fail(error.render(), code=USAGE)
    if as_json:
        click.echo(json.dumps([result.as_json() for result in results], indent=2))
    else:
        if read.keys.about:
            say(read.keys.about)
        click.echo(tables.results(results))
    # Last, so that a file that cannot be written does not cost the figures.
    if plot is not None:
        from evener.lab.plot import plot as draw

        draw(results, plot, read.keys.about or scenario.stem)


@lab.command()
@click.argument("study", required=False)
@as_json
@told
def compare(study: str | None, as_json: bool) -> None:
    """Hold schedulers to what is published of them.

    Makes the table of quality: each study's figures, and the bounds that ours must reach. All
    studies take about a minute; with STUDY only that one. Ends with 1 if a bound is left.

    \b
    Examples:
      evener lab compare
      evener lab compare supermarket
    """
    from evener.lab import quality, tables

    found = quality.studies(study)
    if as_json:
        click.echo(json.dumps(found, indent=2, ensure_ascii=False))
    for one in () if as_json else found:
        click.echo(f"{one['title']} ({one['name']})\n{tables.rows(one['rows'])}\n")
    left = [row["what"] for one in found for row in one["rows"] if not tables.holds(row)]
    if left:
        fail("out of bounds: " + ", ".join(left), code=FAILED)


@lab.command()
@click.argument("log", type=click.Path(path_type=Path))
@_scheduler
@click.option(
    "--slots",
    type=click.IntRange(1, 1_000_000),
    metavar="N",
    help="Requests a server works on at once; estimated from the log without it.",
)
@click.option("--pool", metavar="NAME", help="Which pool (backend) of the log.")
@_plot
@as_json
@told
def replay(
    log: Path,
    schedulers: tuple[str, ...],
    slots: int | None,
    pool: str | None,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Play an access LOG to other schedulers and recommend one.

    Reads Evener's own (JSON), the combined format with upstream's address and time added, and
    HAProxy's httplog.

    \b
    Examples:
      evener lab replay /var/log/evener/access.log
      evener lab replay haproxy.log --scheduler roundrobin,leastconn --slots 8
    """
    from evener.config import ConfigError
    from evener.lab.replay import Replay

    try:
        played = Replay.load(log, pool=pool, slots=slots)
        verdict = played.compare(_schedulers(schedulers))
    except ConfigError as error:
        fail(error.render(), code=USAGE)
    click.echo(json.dumps(verdict.as_json(), indent=2) if as_json else _words(verdict))
    if plot is not None:
        from evener.lab.plot import plot as draw

        draw(verdict.results, plot, log.name)


def _words(verdict: Any) -> str:
    from evener.lab import tables

    parts = [*verdict.log, "", tables.results(verdict.results), "", *verdict.advice]
    return "\n".join(parts)
