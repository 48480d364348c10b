"""`listeners.NAME`: where traffic is accepted, and under which rules."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import replace
from typing import Any

from evener.config.addresses import BIND_ADDRESS, NETWORK, BindAddress
from evener.config.kinds import ListOf, Or, Section
from evener.config.matching import HTTPS_OR_TEMPLATE
from evener.config.model import Fail, key, section
from evener.config.scalars import (
    NAME,
    ByteRate,
    Choice,
    Duration,
    FilePath,
    Integer,
    Pattern,
    Rate,
    RateOf,
    Size,
    Switch,
)
from evener.config.schema.route import Route

UNIX_MODE = "0660"
HTTP_ONLY = ("http", "trusted_proxies", "redirect", "routes")
HTTP_TIMES = ("head", "body", "send", "idle", "min_rate")
"""Times of requests, which a tcp listener has none of."""


@section(main="address")
class Bind:
    """An address to listen on."""

    address: BindAddress = key(
        BIND_ADDRESS,
        "`:80` is port 80 of all addresses, IPv4 and (where the machine has it) IPv6; one address; "
        "or a unix socket.",
        example=":80",
    )
    mode: str | None = key(
        Pattern("permission bits such as 0660", r"0?[0-7]{3}"),
        "Permission bits of a unix socket.",
        default=None,
        unset=f"{UNIX_MODE}: those who may talk to it are in its group",
        example="0660",
    )
    group: str | None = key(
        Pattern("a group's name", r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}"),
        "Group of a unix socket.",
        default=None,
        unset="Evener's own",
        example="www-data",
    )

    def judge(self, fail: Fail, written: Container[str]) -> None:
        """Rules between its keys."""
        for name in ("mode", "group"):
            if name in written and self.address.kind != "unix":
                fail(name, f"`{name}`", "it on unix sockets only", "leave it out")


@section(main="cert")
class Certificate:
    """A certificate chain and its key."""

    cert: str = key(
        FilePath("a file"), "PEM file of the chain, own certificate first.", example="/etc/a.pem"
    )
    key_: str | None = key(
        FilePath("a file"),
        "PEM file of the private key.",
        default=None,
        unset="the key stands in `cert` too",
        example="/etc/a.key",
        name="key",
    )


@section(main="certificates", planned="client_ca client alpn tickets acme")
class ListenerTls:
    """TLS towards clients."""

    certificates: tuple[Certificate, ...] = key(
        ListOf(Section(Certificate, "a certificate"), "certificates"),
        "Chosen by the name a client asks for; the first serves those who ask for none or an "
        "unknown one. The files are read again at every reload.",
        example="{cert: /etc/a.pem, key: /etc/a.key}",
    )
    min_version: str = key(
        Choice("1.2", "1.3"),
        "The lowest version accepted.",
        default="1.2",
        reason="older ones are broken (RFC 8996)",
    )


ACCEPT = ListOf(Choice("lf", "obs_fold", "bad_names"), "violations", least=0)
"""Violations of HTTP/1 that can be let in by name."""


@section()
class HttpRules:
    """What requests may be, and what clients hear besides answers."""

    versions: tuple[str, ...] = key(
        ListOf(Choice("h1", planned="h2 h3"), "versions"),
        "Versions of HTTP that are spoken; with TLS they are what ALPN offers.",
        default=["h1"],
        reason="HTTP/2 is not built yet",
    )
    max_head: int = key(
        Size(1024, 16 << 20),
        "Most bytes of a request's head.",
        default="64KiB",
        reason="more than browsers send, small enough that many slow clients stay cheap",
    )
    max_fields: int = key(
        Integer(1, 10_000),
        "Most fields in a request's head.",
        default="100",
        reason="each field costs work of its own, however short it is",
    )
    max_body: int | None = key(
        Or("unlimited", Size(0)),
        "Most bytes of a request's body.",
        default="unlimited",
        reason="bodies pass through and are not stored; only the server knows what is too much",
    )
    underscores: str = key(
        Choice("drop", "pass", "refuse"),
        "What happens to fields with an underscore in their name: they end here, go on, or the "
        "request is answered 400. Other spellings of fields that frame, route or tell an identity "
        "never go on.",
        default="drop",
        reason="CGI, WSGI and others cannot tell `a_b` from `a-b`, so that a stranger could set "
        "what only a proxy should",
    )
    via: bool = key(
        Switch(),
        "Whether requests and answers that go through are marked with `Via: 1.1 evener`. Loops "
        "are not looked for.",
        default="off",
        reason="nginx servers stop compressing when they see it",
    )
    interim: str = key(
        Choice("pass", "drop"),
        "Whether clients of HTTP/1.1 hear of interim answers such as 103, eight per request at "
        "most. A 100 that a client waits for always goes to it.",
        default="pass",
        reason="who waits for hints gets them",
    )
    accept: tuple[str, ...] = key(
        ACCEPT,
        "Violations in heads of requests that are let in, rebuilt and counted: `lf` (lines that "
        "end with LF alone go on with CRLF), `obs_fold` (a field that goes on in the next line "
        "becomes one line), `bad_names` (a field whose name is no token ends here).",
        default=[],
        reason="two programs that read such a request read two requests",
        example="[lf]",
    )


@section(main="idle")
class Tunnel:
    """Upgraded connections and TCP sessions."""

    idle: int = key(
        Duration(),
        "Time without a byte in either direction.",
        default="1h",
        reason="databases and sockets of browsers rest for long without being dead",
    )
    max: int | None = key(
        Or("off", Duration()),
        "Time for a tunnel as a whole.",
        default="off",
        reason="a tunnel in use is not ours to cut",
    )


@section()
class ListenerTimeouts:
    """How long each wait on a client may last."""

    tls: int = key(
        Duration(),
        "For the TLS handshake as a whole.",
        default="10s",
        reason="two round trips, lost packets included",
    )
    head: int = key(
        Duration(),
        "From a request's first byte to the end of its head.",
        default="10s",
        reason="heads come in one piece; who sends them byte by byte means harm",
    )
    body: int = key(
        Duration(),
        "Between two pieces of a request's body.",
        default="30s",
        reason="an idle time, so that long uploads are not cut",
    )
    send: int = key(
        Duration(),
        "Between two pieces of an answer that the client takes.",
        default="30s",
        reason="an idle time, so that long downloads are not cut",
    )
    idle: int = key(
        Duration(),
        "Between an answer and the next request.",
        default="75s",
        reason="nginx's keepalive_timeout; longer than the minute many clients keep connections",
    )
    tunnel: Tunnel = key(Section(Tunnel, "times of tunnels"), "Times of tunnels.", default={})
    min_rate: int | None = key(
        Or("off", ByteRate()),
        "Bytes a second that a client must at least send or take, after ten seconds; only time "
        "spent waiting for it counts.",
        default="500B/s",
        reason="what drips slower is no client: an idle time alone lets one byte each 29 s pass",
    )


_TIMES = Section(ListenerTimeouts, "times")


@section()
class ListenerLimits:
    """Limits of the listener."""

    connections: int | None = key(
        Or("unlimited", Integer(1, 100_000_000)),
        "Most client connections held at once.",
        default="unlimited",
        reason="`evener.limits.connections` bounds them all",
    )
    per_client: int | None = key(
        Or("off", Integer(1, 1_000_000)),
        "Most connections of one client at once. What is beyond is answered 429 and closed, on TCP "
        "listeners closed. A client is an IPv4 address or an IPv6 /64, as `client.ip` has it: "
        "behind a trusted proxy its requests in hand are counted instead. 65,536 clients are "
        "remembered; others are let in uncounted while all of them hold connections.",
        default="off",
        reason="many people may share an address",
        example="100",
    )
    rate_per_client: Rate | None = key(
        Or("off", RateOf()),
        "Requests (on TCP listeners: connections) of one client, as in `per_client`: `100/s` lets "
        "100 come at once, then one each 10 ms (nginx: `burst=99 nodelay`). What is beyond is "
        "answered 429 with Retry-After and closed. 65,536 clients are remembered; when all places "
        "are taken, who has asked least lately is forgotten.",
        default="off",
        reason="only the operator knows how fast a client may ask",
        example="100/s",
    )


@section(planned="proxy_protocol")
class Listener:
    """Where traffic is accepted, and under which rules."""

    bind: tuple[Bind, ...] = key(
        ListOf(Section(Bind, BIND_ADDRESS.expected), "addresses"),
        "Where it listens.",
        example=":80",
    )
    protocol: str = key(
        Choice("http", "tcp", planned="udp"),
        "What is spoken on it: `http`, or `tcp`: bytes relayed as they come.",
        default="http",
        reason="what most listeners are for",
    )
    tls: ListenerTls | None = key(
        Or("off", Section(ListenerTls, "certificates")),
        "TLS in front of the protocol.",
        default="off",
        reason="there is no certificate to begin with",
        example="{certificates: [{cert: /etc/a.pem, key: /etc/a.key}]}",
    )
    http: HttpRules = key(
        Section(HttpRules, "rules of requests"), "Rules of HTTP messages.", default={}
    )
    trusted_proxies: tuple[str, ...] = key(
        Or("none", ListOf(NETWORK, "networks"), value=()),
        "Networks, or `unix` for peers on unix sockets, whose X-Forwarded-* fields are believed.",
        default="none",
        reason="anyone can write these fields",
        example="[10.0.0.0/8, unix]",
    )
    timeouts: ListenerTimeouts = key(_TIMES, "How long each wait on a client may last.", default={})
    limits: ListenerLimits = key(Section(ListenerLimits, "limits"), "Limits.", default={})
    redirect: str | None = key(
        HTTPS_OR_TEMPLATE,
        "The whole listener answers with this redirect: 301 for GET and HEAD, else 308. `https` is "
        "the same address on port 443.",
        default=None,
        unset="routes and pool answer",
        example="https",
    )
    routes: tuple[Route, ...] = key(
        ListOf(Section(Route, "a route"), "routes", least=0),
        "Ordered rules; the first that matches answers.",
        default=[],
        example="[{path: /api/*, pool: api}]",
    )
    pool: str | None = key(
        NAME,
        "The pool that serves what no route matched.",
        default=None,
        unset="what no route matched is answered 404",
        example="app",
    )

    def silent(self) -> tuple[str, ...]:
        """Keys without a meaning for its protocol."""
        return () if self.protocol == "http" else HTTP_ONLY

    def completed(self) -> Listener:
        """Without what defaults say of times that its protocol does not have."""
        if self.protocol == "http":
            return self
        unset = {name: _TIMES.defaults[name] for name in HTTP_TIMES}
        return replace(self, timeouts=replace(self.timeouts, **unset))


class ListenerSection(Section):
    """A listener; its long form has no times that its protocol does not have."""

    def write(self, value: Any) -> Any:
        plain = super().write(value)
        if value.protocol != "http":
            for name in HTTP_TIMES:
                del plain["timeouts"][name]
        return plain
