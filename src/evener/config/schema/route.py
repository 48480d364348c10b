"""`listeners.NAME.routes`: ordered rules, match and answer."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from evener.config.edits import EditedName, EditsSection
from evener.config.kinds import ListOf, MapOf, Or, Section
from evener.config.matching import HEADER_NAME, HOST_PATTERN, METHOD, HeaderForm, PathForm
from evener.config.model import Fail, key, section
from evener.config.scalars import NAME, Choice, Integer, Pattern, Size, Text
from evener.config.templates import LOCATION, Template


@section(planned="query cookie client tls")
class Match:
    """What a request must look like: all keys hold, of a list one is enough."""

    host: tuple[str, ...] = key(
        ListOf(HOST_PATTERN, "host names"),
        "Host names, `a.example` or `*.a.example`; port and case of the request are ignored.",
        default=(),
        example="a.example",
    )
    path: tuple[tuple[str, str], ...] = key(
        ListOf(PathForm(), "path patterns"),
        "Patterns over the canonical path: `/x` or {exact: /x/} is that path alone, `/x/*` is /x "
        "and all below, `/x/` all below only, {regex: …} matches anywhere in it, {glob: …} the "
        "whole.",
        default=(),
        example="/api/*",
    )
    method: tuple[str, ...] = key(
        ListOf(METHOD, "methods"),
        "Methods, in capitals as on the wire.",
        default=(),
        example="[GET, HEAD]",
    )
    header: dict[str, Any] = key(
        MapOf(HEADER_NAME, HeaderForm(), "header names with values"),
        "Fields by name; all must match. A value, a list of values, {prefix: …}, {regex: …} or "
        "{present: on}. What servers are not told of (X-Forwarded-* of who is no trusted proxy, "
        "names with underscores, what Connection takes out) is as if it had not come.",
        default={},
        example="{x-user: alice}",
    )
    not_: Match | None = key(
        Section(lambda: Match, "a match"),
        "Must not hold as a whole.",
        default=None,
        unset="nothing is excluded",
        name="not",
    )


@section(main="to")
class Redirect:
    """A redirect."""

    to: str = key(
        LOCATION,
        "The new location.",
        example="https://{host}{uri}",
    )
    status: str = key(
        Choice("301", "302", "303", "307", "308"),
        "Status code.",
        default="302",
        reason="a permanent redirect is remembered by clients, so it has to be asked for",
    )


@section(main="pool")
class Needs:
    """A condition on a pool."""

    pool: str = key(NAME, "The pool.", example="app")
    up: int = key(
        Integer(1, 65535),
        "Servers that must be up.",
        default="1",
        reason="with one server up the pool still answers",
    )


@section(main="status")
class Respond:
    """An answer of our own."""

    status: int = key(
        Integer(200, 599),
        "Status code.",
        default="200",
        reason="an answer that is written out is meant as one",
    )
    body: str = key(
        Text("a text", allows_empty=True),
        "The body, as it is.",
        default="",
        reason="a status says enough for a machine",
        example="ok",
    )
    type: str = key(
        Pattern("a media type such as text/plain", r"[\w.+-]+/[\w.+-]+( ?; ?[\w.=\"+-]+)*"),
        "Media type of the body.",
        default="text/plain; charset=utf-8",
        reason="configuration files are UTF-8",
    )
    needs: Needs | None = key(
        Section(Needs, "a pool and how many of it must be up"),
        "Answers 503 instead while fewer servers of that pool are up.",
        default=None,
        unset="the answer does not depend on a pool",
        example="{pool: app, up: 2}",
    )

    def judge(self, fail: Fail, written: Container[str]) -> None:
        """Rules between its keys."""
        # RFC 9110 sections 15.3.5, 15.3.6 and 15.4.5: these end with their head.
        if self.status in (204, 205, 304) and self.body:
            fail("body", f"a body with status {self.status}", "none", "this status has no body")


_EDITED = EditedName()
_VALUES = ListOf(Template("{request.id}", allows_empty=True), "values with words in braces")


@section()
class HeaderEdits:
    """Edits of a head's fields. A name stands in one of the three keys."""

    set: dict[str, tuple[str, ...]] = key(
        MapOf(_EDITED, _VALUES, "field names with values"),
        "Fields that have this value whatever was sent: all of that name are cut, in any case and "
        "with any marks for `-`, and this goes instead; a list makes several lines.",
        default={},
        example="{X-Request-ID: '{request.id}'}",
    )
    add: dict[str, tuple[str, ...]] = key(
        MapOf(_EDITED, _VALUES, "field names with values"),
        "Lines that are added to those sent.",
        default={},
        example="{Vary: Origin}",
    )
    remove: tuple[str, ...] = key(
        ListOf(_EDITED, "names of fields"),
        "Names no field of which goes on, in any case and with any marks for `-`.",
        default=(),
        example="[X-Powered-By]",
    )

    def judge(self, fail: Fail, written: Container[str]) -> None:
        """Rules between its keys."""
        seen: list[str] = []
        for where, names in (("set", self.set), ("add", self.add), ("remove", self.remove)):
            for name in names:
                if name.lower() in seen:
                    hint = "`set` cuts what was sent; several values are a list"
                    fail(where, f"`{name}` a second time", "each name once", hint)
                seen.append(name.lower())


@section()
class RouteBuffer:
    """How much of this route's requests and answers is taken in for slow clients."""

    request: int | None = key(
        Or("off", Size(1, 1 << 30), value=0),
        "As in pools.",
        default=None,
        unset="the pool's",
        example="1MiB",
    )
    response: int | None = key(
        Or("off", Size(1, 1 << 30), value=0),
        "As in pools.",
        default=None,
        unset="the pool's",
        example="1MiB",
    )


@section(
    kinds="pool respond redirect",
    whole_kind=False,
    inline="match",
    planned="split split_by files deny rewrite timeouts retry "
    "rate_limit cache compress auth mirror log",
)
class Route:
    """A rule: what a request must look like, and its answer. The match keys may stand in it."""

    match: Match = key(
        Section(Match, "a match"),
        "What a request must look like; without it the route takes all.",
        default={},
    )
    pool: str | None = key(
        NAME, "A server of this pool answers.", default=None, unset="another answer", example="app"
    )
    respond: Respond | None = key(
        Section(Respond, "an answer"),
        "An answer of our own.",
        default=None,
        unset="another answer",
        example="{status: 404, body: nothing here}",
    )
    redirect: Redirect | None = key(
        Section(Redirect, "a redirect"),
        "A redirect.",
        default=None,
        unset="another answer",
        example="https://{host}{uri}",
    )
    request_headers: HeaderEdits | None = key(
        EditsSection(HeaderEdits, "edits of fields"),
        "What is changed of the request's fields on their way to a server; for FastCGI its "
        "parameters `HTTP_...`. Fields that Evener adds (`X-Forwarded-For`) can be set or removed, "
        "too.",
        default=None,
        unset="fields go on as they came, but for those of the connection",
        example="{set: {X-Request-ID: '{request.id}'}, remove: [Cookie]}",
    )
    response_headers: HeaderEdits | None = key(
        EditsSection(HeaderEdits, "edits of fields"),
        "What is changed of the answer's fields on their way to the client, whoever answers: a "
        "server, a redirect, `respond`, or Evener with an error, once the route is chosen.",
        default=None,
        unset="fields go on as they came, but for those of the connection",
        example="{set: {Strict-Transport-Security: max-age=31536000}, remove: [X-Powered-By]}",
    )
    buffer: RouteBuffer = key(
        Section(RouteBuffer, "sizes"),
        "How much is taken in for slow clients, over the pool's word.",
        default={},
    )
