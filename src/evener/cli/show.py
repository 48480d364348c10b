"""`evener show …` and `evener why`: what an instance does, and why."""

import json
from typing import Any

import click

from evener.cli.client import Client, server_path
from evener.cli.options import as_json, instance
from evener.cli.words import coloured, told


@click.group()
def show() -> None:
    """Show what an instance does.

    \b
    Examples:
      evener show status
      evener show servers --json | jq '.[] | select(.state != "up")'
    """


@show.command()
@instance
@as_json
@told
def status(run: str | None, config: str | None, as_json: bool) -> None:
    """Everything on one screen, problems first."""
    tree = Client(run, config).read("/v1/status")
    if as_json:
        _print(tree)
        return
    from evener.cli.screen import screen

    click.echo(screen(tree, coloured()))


@show.command()
@instance
@as_json
@told
def servers(run: str | None, config: str | None, as_json: bool) -> None:
    """A line per server: state, numbers, last check."""
    rows = Client(run, config).read("/v1/servers")
    if as_json:
        _print(rows)
        return
    from evener.cli.screen import server_rows

    click.echo(server_rows(rows, coloured()))


@show.command("config")
@instance
@click.option("--resolved", is_flag=True, help="The long form, with every default.")
@told
def show_config(run: str | None, config: str | None, resolved: bool) -> None:
    """The configuration that is served, as YAML; secrets are not in it."""
    client = Client(run, config)
    click.echo(client.text(f"/v1/config?resolved={int(resolved)}"), nl=False)


@show.command()
@instance
@as_json
@told
def plan(run: str | None, config: str | None, as_json: bool) -> None:
    """What the worker was told, as JSON."""
    _print(Client(run, config).read("/v1/plan"), indent=None if as_json else 2)


@show.command()
@instance
@told
def metrics(run: str | None, config: str | None) -> None:
    """The Prometheus page."""
    click.echo(Client(run, config).text("/v1/metrics"), nl=False)


@click.command()
@click.argument("name", metavar="POOL/SERVER")
@instance
@as_json
@told
def why(name: str, run: str | None, config: str | None, as_json: bool) -> None:
    """Say why a server is as it is: reason, last check, what brings it back.

    \b
    Example:
      evener why app/10.0.0.1:8000
    """
    facts = Client(run, config).read(server_path(name))
    if as_json:
        _print(facts)
        return
    for line in facts["why"]:
        click.echo(line)


def _print(data: Any, indent: int | None = None) -> None:
    click.echo(json.dumps(data, indent=indent, ensure_ascii=False))
