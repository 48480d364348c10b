"""`evener reload`, `evener stop`, `evener server …`: what changes a running instance."""

import json
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evener.admin.plain import count
from evener.cli.client import Client, server_path
from evener.cli.options import as_json, instance
from evener.cli.words import fail, say, told
from evener.control.doors import doors
from evener.control.errors import OrphanError

if TYPE_CHECKING:
    from evener.control.instance import Identity

#: Seconds between two looks at a server that drains, or at an instance that stops.
LOOK = 0.2
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_TIME = re.compile(rf"([0-9]{{1,9}}(?:\.[0-9]{{1,9}})?) ?({'|'.join(_UNITS)})")


@click.command()
@instance
@as_json
@told
def reload(run: str | None, config: str | None, as_json: bool) -> None:
    """Have the instance read its file again; waits, and prints what is wrong if it stays.

    \b
    Examples:
      evener reload
      evener check && evener reload
    """
    answer = Client(run, config).tell("POST", "/v1/reload")
    if as_json:
        click.echo(json.dumps(answer))
        return
    say(reloaded(answer))


def reloaded(answer: dict[str, Any]) -> str:
    """What a reload's answer says, in a line."""
    return (
        f"plan {answer['generation']} serves: {count(answer['kept'], 'server')} kept, "
        f"{answer['added']} added, {answer['removed']} removed{doors(answer)}"
    )


@click.command()
@instance
@click.option("--now", is_flag=True, help="End at once; what is in hand is lost.")
@told
def stop(run: str | None, config: str | None, now: bool) -> None:
    """Let work in hand end, then end the instance; waits for it.

    \b
    Examples:
      evener stop
      evener stop --now
    """
    from evener.control.finding import alive
    from evener.control.instance import identity_of

    try:
        client = Client(run, config)
    except OrphanError as error:
        _end_orphans(error, now)
        return
    before = identity_of(client.run)
    client.tell("POST", "/v1/stop", {"now": now})
    # Who restarts it (systemd) may be quick: the next one in that place is not waited for.
    while alive(client.run) and _is_same(before, identity_of(client.run)):
        time.sleep(LOOK)
    say("stopped")


def _is_same(before: "Identity | None", now: "Identity | None") -> bool:
    """Whether it may be the same supervisor; one that says nothing of itself may."""
    if before is None or now is None:
        return True
    return (before.pid, before.started) == (now.pid, now.started)


def _end_orphans(error: OrphanError, now: bool) -> None:
    """Does what their supervisor would, if it lived."""
    from evener.control.orphans import end
    from evener.dataplane import hello

    say(f"{error}; ending {'it' if len(error.workers) == 1 else 'them'}")
    cut = end(error.run, hello(), _time_for_requests(error.run), now)
    say(f"stopped; time cut {count(cut, 'connection')}" if cut else "stopped")


def _time_for_requests(run: Path) -> int:
    """`evener.drain.requests` of the instance's file, or its default, in milliseconds."""
    from evener.config import Config, ConfigError
    from evener.control.instance import identity_of

    identity = identity_of(run)
    try:
        config = Config.load(identity.config if identity else "")
        return config.settings.evener.drain.requests
    except ConfigError:
        return Config({}).settings.evener.drain.requests


@click.group()
def server() -> None:
    """Take a server out for work on it, or back in; give it another weight.

    A word stands over reloads and restarts, until the file changes that very value (`admin`,
    `weight`) of that server.

    \b
    Examples:
      evener server drain app/10.0.0.1:8000 --wait 5m
      evener server ready app/10.0.0.1:8000
    """


@server.command()
@click.argument("name", metavar="POOL/SERVER")
@click.option("--wait", metavar="TIME", help="Wait until nothing is in hand, TIME at most (5m).")
@instance
@as_json
@told
def drain(name: str, wait: str | None, run: str | None, config: str | None, as_json: bool) -> None:
    """Give the server nothing new; what it has in hand goes on.

    \b
    Examples:
      evener server drain app/10.0.0.1:8000
      evener server drain app/10.0.0.1:8000 --wait 5m && ssh 10.0.0.1 reboot
    """
    patience = None if wait is None else seconds(wait)
    client = Client(run, config)
    facts = _put(client, name, "admin", "drain")
    if patience is not None:
        facts = _wait(client, name, patience)
    _tell(facts, as_json)


@server.command()
@click.argument("name", metavar="POOL/SERVER")
@instance
@as_json
@told
def ready(name: str, run: str | None, config: str | None, as_json: bool) -> None:
    """Let the server take traffic again.

    \b
    Example:
      evener server ready app/10.0.0.1:8000
    """
    _tell(_put(Client(run, config), name, "admin", "ready"), as_json)


@server.command()
@click.argument("name", metavar="POOL/SERVER")
@click.argument("number", metavar="N", type=click.IntRange(0, 65_535))
@instance
@as_json
@told
def weight(name: str, number: int, run: str | None, config: str | None, as_json: bool) -> None:
    """Give the server another weight; 0 gives it nothing new.

    The scheduler re-weighs by the rule of the program it comes from. HAProxy's static ones
    (static-rr, and hashes without `consistent`) take 0 and the file's weight only, as there.

    \b
    Examples:
      evener server weight app/10.0.0.1:8000 5
      evener server weight app/10.0.0.1:8000 0
    """
    facts = _put(Client(run, config), name, "weight", number)
    if as_json:
        click.echo(json.dumps(facts))
        return
    say(f"{facts['pool']}/{facts['server']} has weight {facts['weight']}")


def seconds(text: str) -> float:
    """A time as in the configuration (`500ms`, `30s`, `5m`, `1h`), in seconds."""
    match = _TIME.fullmatch(text)
    if match is None:
        raise click.BadParameter(f"{text!r} is no time; write 30s or 5m", param_hint="--wait")
    return float(match[1]) * _UNITS[match[2]]


def _put(client: Client, name: str, about: str, word: str | int) -> dict[str, Any]:
    """Says a word about a server; returns its facts."""
    facts: dict[str, Any] = client.tell("PUT", server_path(name), {about: word})
    if unkept := facts.get("unkept"):
        say(f"warning: {unkept}")
    return facts


def _wait(client: Client, name: str, patience: float) -> dict[str, object]:
    end = time.monotonic() + patience
    while True:
        facts: dict[str, object] = client.read(server_path(name))
        if not facts["in_flight"]:
            return facts
        if time.monotonic() >= end:
            fail(f"{name} still has {facts['in_flight']} in hand after {patience:g} s")
        time.sleep(LOOK)


def _tell(facts: dict[str, object], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(facts))
        return
    say(f"{facts['pool']}/{facts['server']} is {facts['state']}, {facts['in_flight']} in hand")
