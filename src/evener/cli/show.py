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
    """Everything on one screen, problems first.

    Rates are over the last seconds, p50 and p99 over the last minute.

    \b
    Examples:
      evener show status
      evener show status --json | jq '.problems'
    """
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
    """A line per server: state and numbers.

    With --json also its last check, and the reason for its state; `evener why` has them in words.

    \b
    Examples:
      evener show servers
      evener show servers --json | jq '.[] | {server, state, reason}'
    """
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
    """The configuration that is served, as YAML; secrets are not in it.

    \b
    Examples:
      evener show config
      evener show config --resolved
    """
    client = Client(run, config)
    click.echo(client.text(f"/v1/config?resolved={int(resolved)}"), nl=False)


@show.command()
@instance
@as_json
@told
def plan(run: str | None, config: str | None, as_json: bool) -> None:
    """What the worker was told, as JSON; on one line with --json.

    \b
    Example:
      evener show plan | jq '.pools[].scheduler'
    """
    _print(Client(run, config).read("/v1/plan"), indent=None if as_json else 2)


@show.command()
@instance
@told
def metrics(run: str | None, config: str | None) -> None:
    """The Prometheus page.

    \b
    Example:
      evener show metrics | grep evener_requests_total
    """
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
