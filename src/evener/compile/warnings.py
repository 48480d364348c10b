"""What of a right configuration is worth a line, but no reason to refuse it.

Rules kept here:
- A warning is about something that a person can hardly have meant; it names the key.
- What is only sometimes meant so is no warning: a line that is not read hides those that matter.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

from evener.config.rules import pools_of
from evener.config.schema import Listener, Match, Pool, Respond, Root
from evener.config.schema.pool import SCRIPT

_ALL_PATHS = {("within", ""), ("below", "/")}
"""Patterns of a path that every path matches: `/*` and `/`."""

Asked: TypeAlias = tuple[Any, ...]
_NOTHING: Asked = ((), (), (), (), None)
"""What a match asks for that takes all."""


def warnings(root: Root) -> Iterator[str]:
    """The warnings, in the order of listeners and pools."""
    for name, listener in root.listeners.items():
        yield from _of_listener(f"listeners.{name}", listener, root)
    used = _used(root)
    for name, pool in root.pools.items():
        if root.listeners and name not in used:
            yield f"pools.{name}: no listener and no route uses it"
        yield from _of_pool(f"pools.{name}", pool)


def _of_listener(path: str, listener: Listener, root: Root) -> Iterator[str]:
    if not (listener.pool or listener.routes or listener.redirect):
        yield f"{path}: without pool, routes or redirect it answers 404"
    first: dict[Asked, int] = {}
    for index, route in enumerate(listener.routes):
        here = f"{path}.routes[{index}]"
        asked = _asked(route.match)
        taken = first.get(_NOTHING, first.get(asked))
        if taken is not None:
            yield f"{here}: no request gets to it: routes[{taken}] takes all that it would match"
        first.setdefault(asked, index)
        if route.respond is not None:
            yield from _of_needs(f"{here}.respond.needs", route.respond, root)


def _asked(match: Match) -> Asked:
    """What a match asks for, in a form that can be looked up: there may be thousands of routes."""
    paths = () if _ALL_PATHS & {*match.path} else match.path
    excluded = match.not_ and _asked(match.not_)
    return match.host, paths, match.method, tuple(sorted(match.header.items())), excluded


def _of_needs(path: str, respond: Respond, root: Root) -> Iterator[str]:
    needs = respond.needs
    if needs is None:
        return
    servers = root.pools[needs.pool].servers
    # A name may have any number of addresses.
    if len(servers) < needs.up and all(each.address.kind != "name" for each in servers):
        has = f"{len(servers)} server{'' if len(servers) == 1 else 's'}"
        yield f"{path}.up: {needs.up} can never be up: `{needs.pool}` has {has}"


def _of_pool(path: str, pool: Pool) -> Iterator[str]:
    if not pool.servers:
        yield f"{path}: it has no servers"
    if pool.protocol == "fastcgi" and not _names_a_script(pool):
        hint = "php-fpm runs nothing without params.DOCUMENT_ROOT or params.SCRIPT_FILENAME"
        yield f"{path}: {hint}"


def _names_a_script(pool: Pool) -> bool:
    own = [server.params for server in pool.servers] or [{}]
    return all({*pool.params, *params} & {*SCRIPT} for params in own)


def _used(root: Root) -> set[str | None]:
    """The pools that answer, or that an answer depends on."""
    used: set[str | None] = set()
    for listener in root.listeners.values():
        used |= pools_of(listener)
        answers = [route.respond for route in listener.routes if route.respond is not None]
        used |= {answer.needs.pool for answer in answers if answer.needs is not None}
    return used
