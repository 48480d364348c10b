"""The whole file: its top-level keys, and which named things take which defaults."""

from __future__ import annotations

from collections.abc import Container

from evener.config.kinds import ListOf, MapOf, Partial, Section
from evener.config.model import Fail, key, section
from evener.config.scalars import NAME, FilePath
from evener.config.schema.evener import Evener
from evener.config.schema.listener import Listener, ListenerSection
from evener.config.schema.pool import Pool
from evener.config.schema.route import Route

LISTENER = ListenerSection(Listener, "a listener")
POOL = Section(Pool, "a pool: a list of servers, or a mapping")
ROUTE = Section(Route, "a route")


@section()
class Defaults:
    """What several things share: built-in defaults < these < the thing itself."""

    listener: None = key(
        Partial(LISTENER),
        "Keys for all listeners.",
        default=None,
        unset="built-in defaults",
        example="{timeouts: {idle: 30s}}",
    )
    pool: None = key(
        Partial(POOL),
        "Keys for all pools.",
        default=None,
        unset="built-in defaults",
        example="{check: {http: /health}}",
    )
    route: None = key(
        Partial(ROUTE),
        "Keys for all routes.",
        default=None,
        unset="built-in defaults",
        example="{host: a.example}",
    )


@section(planned="caches tables services fleet policies")
class Root:
    """The whole configuration."""

    include: tuple[str, ...] = key(
        ListOf(FilePath("a path such as conf.d/*.yaml"), "paths"),
        "Files whose listeners and pools join those written here; a path is relative to the file "
        "that names it, and what a pattern matches is taken in sorted order.",
        default=(),
        example="conf.d/*.yaml",
    )
    evener: Evener = key(Section(Evener, "keys of the instance"), "The instance.", default={})
    defaults: Defaults = key(
        Section(Defaults, "listener, pool, route"),
        "What several things share.",
        default={},
    )
    listeners: dict[str, Listener] = key(
        MapOf(NAME, LISTENER, "listeners by name"),
        "Where traffic comes in.",
        default={},
        example='{web: {bind: ":80", pool: app}}',
    )
    pools: dict[str, Pool] = key(
        MapOf(NAME, POOL, "pools by name"),
        "Where it goes.",
        default={},
        example='{app: ["10.0.0.1:80"]}',
    )

    def judge(self, fail: Fail, written: Container[str]) -> None:
        """Rules between its keys."""
        # Loading a file has put the pieces in place of this key.
        if "include" in written:
            fail("include", "`include` outside a file", "a configuration loaded from a file", "")


ROOT = Section(Root, "a mapping with evener, defaults, listeners and pools")
