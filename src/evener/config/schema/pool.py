"""`pools.NAME`: servers that can answer for each other, and how to choose among them."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import replace

from evener.config.addresses import SERVER_ADDRESS, SERVER_ID, ServerAddress
from evener.config.kinds import ListOf, MapOf, Or, Section
from evener.config.matching import HEADER_NAME, METHOD, TARGET
from evener.config.model import Fail, key, section
from evener.config.scalars import (
    Choice,
    Duration,
    FilePath,
    Integer,
    Nothing,
    Pattern,
    Percent,
    Size,
    StatusRange,
    Switch,
    Text,
)
from evener.config.schema.affinity import AFFINITY, Affinity
from evener.config.schema.listener import ACCEPT
from evener.config.schema.scheduler import SCHEDULER, Scheduler
from evener.config.templates import Template

PARAMETER = Pattern("the name of a parameter such as DOCUMENT_ROOT", r"[A-Za-z_][A-Za-z0-9_]*")
SCRIPT = ("DOCUMENT_ROOT", "SCRIPT_FILENAME")
"""Parameters of which one must be given to php-fpm: they say where the scripts are."""

PARAMETERS = MapOf(PARAMETER, Template(allows_empty=True), "parameters by name")


@section(main="high")
class ServerRoom:
    """How much a server may have at once."""

    high: int = key(
        Integer(1, 4_000_000_000),
        "So many, and it is full (nginx's max_conns, HAProxy's maxconn, ipvsadm's -x).",
        example="100",
    )
    low: int | None = key(
        Integer(1, 4_000_000_000),
        "A full server takes new ones when it has fewer than this (ipvsadm's -y).",
        default=None,
        unset="as soon as it has room; with IPVS's schedulers three quarters of `high`",
        example="80",
    )

    def judge(self, fail: Fail, written: Container[str]) -> None:
        """Rules between its keys."""
        if self.low is not None and self.low > self.high:
            fail("low", f"`{self.low}`", f"at most `high`, {self.high}", "")


@section(main="address", planned="check")
class Server:
    """One server of a pool."""

    address: ServerAddress = key(
        SERVER_ADDRESS,
        "Where it is. A name is resolved, each of its addresses is a server `NAME@ADDRESS`. "
        "A port left out is 80, or 443 with TLS.",
        example="10.0.0.1:80",
    )
    id: str | None = key(
        SERVER_ID,
        "Its name, unique in the pool: identity over reloads, in commands and metrics.",
        default=None,
        unset="its address",
        example="web1",
    )
    weight: int = key(
        Integer(0, 65535),
        "Share of picks; 0 takes nothing new.",
        default="1",
        reason="all equal",
    )
    tier: int = key(
        Integer(0, 255),
        "A higher tier serves when none of a lower is up.",
        default="0",
        reason="all serve",
    )
    admin: str = key(
        Choice("ready", "drain", "maint"),
        "What people want of it: `ready`, `drain` (nothing new) or `maint` (nothing new, not "
        "checked).",
        default="ready",
        reason="a server is written down to serve",
    )
    max_connections: ServerRoom | None = key(
        Or("unlimited", Section(ServerRoom, "a number, or {high, low}")),
        "Requests or sessions it may have at once; one that is full takes nothing new.",
        default="unlimited",
        reason="a server's own limits are not known here",
        example="100",
    )
    params: dict[str, str] = key(
        PARAMETERS,
        "Parameters of this server, over the pool's.",
        default={},
        example="{DOCUMENT_ROOT: /srv/b}",
    )


@section(planned="path")
class Expect:
    """What a check's answer must be."""

    status: tuple[tuple[int, int], ...] = key(
        ListOf(StatusRange(), "status codes"),
        "Status codes or ranges, one of which holds.",
        default="200-399",
        reason="a redirect is an answer of a living server",
    )
    body: str | None = key(
        Text(),
        "Text within the first 64 KiB of the body.",
        default=None,
        unset="any body",
        example="ready",
    )
    header: dict[str, str] = key(
        MapOf(HEADER_NAME, Text(), "header names with values"),
        "Fields and the exact values they must have.",
        default={},
        example="{x-ready: yes}",
    )


@section(
    kinds="http tcp",
    planned="tls grpc udp exec redis postgres mysql smtp dns python",
)
class Check:
    """An active health check; `http` or `tcp` chooses the kind."""

    http: str | None = key(
        TARGET, "Asks for this target.", default=None, unset="another kind", example="/health"
    )
    tcp: bool = key(
        Nothing(),
        "Connects; with TLS in the pool it shakes hands too.",
        default=None,
        unset="another kind",
    )
    every: int = key(
        Duration(100),
        "Time between two checks.",
        default="2s",
        reason="a dead server is found within six seconds, at a cost that is not felt",
    )
    timeout: int = key(
        Duration(10),
        "Time a check may take as a whole.",
        default="1s",
        reason="a check that takes longer says enough",
    )
    rise: int = key(
        Integer(1, 1000),
        "Passes in a row that bring a server up.",
        default="2",
        reason="one pass may be chance",
    )
    fall: int = key(
        Integer(1, 1000),
        "Failures in a row that take it down.",
        default="3",
        reason="one failure may be a lost packet, two a full queue; as HAProxy",
    )
    fast: int | None = key(
        Duration(100),
        "Time between two checks while the state is changing.",
        default=None,
        unset="`every`",
        example="500ms",
    )
    down: int | None = key(
        Duration(100),
        "Time between two checks of a server that is down.",
        default=None,
        unset="`every`",
        example="10s",
    )
    jitter: float = key(
        Percent(),
        "Share of the interval by which each is moved at random.",
        default="10%",
        reason="checks of many servers, or of many balancers, do not fall together",
    )
    host: str | None = key(
        Pattern("a host name, with a port where wanted", r"[A-Za-z0-9._\[\]:-]+"),
        "Host field of the request.",
        default=None,
        unset="the server's host",
        example="health.example",
    )
    method: str = key(
        METHOD,
        "Method of the request.",
        default="GET",
        reason="every server answers it",
    )
    headers: dict[str, str] = key(
        MapOf(HEADER_NAME, Text(), "header names with values"),
        "Further fields of the request.",
        default={},
        example="{x-check: evener}",
    )
    expect: Expect = key(
        Section(Expect, "what the answer must be"),
        "What the answer must be.",
        default={},
    )
    port: int | None = key(
        Integer(1, 65535), "Port to check.", default=None, unset="the server's", example="8081"
    )

    def judge(self, fail: Fail, written: Container[str]) -> None:
        """Rules between its keys."""
        for name in self.silent():
            if name in written:
                fail(name, f"`{name}` in a tcp check", "it in an http check", "write `http: /path`")

    def silent(self) -> tuple[str, ...]:
        """Keys without a meaning for this kind."""
        return () if self.http is not None else ("host", "method", "headers", "expect")


@section()
class Passive:
    """Exclusion by live answers: nginx's max_fails and fail_timeout."""

    fails: int = key(
        Integer(1, 1_000_000),
        "Failures within the window that take a server out.",
        default="1",
        reason="nginx's max_fails; the request goes to the next server anyway",
    )
    within: int = key(Duration(), "The window.", default="10s", reason="nginx's fail_timeout")
    out: int = key(
        Duration(), "Time it stays out at least.", default="10s", reason="nginx's fail_timeout"
    )
    readmit: str = key(
        Choice("tcp", "request"),
        "How it comes back: `tcp`, when a connection is accepted, or `request`, by trying a live "
        "request as nginx does.",
        default="tcp",
        reason="no client has to be the one who tries",
    )


@section(planned="per_try replay budget hedge")
class Retry:
    """When a request goes to another server."""

    attempts: int = key(
        Integer(1, 100),
        "Requests sent at most, the first included. A connection that could not be made does not "
        "count: each eligible server is tried once. Neither does one kept connection that turns "
        "out to be closed; then a fresh one to the same server follows.",
        default="2",
        reason="one more try mends what one server broke; more multiply a common failure",
    )
    on: tuple[str, ...] = key(
        ListOf(
            Choice(
                "connect",
                "reset",
                "timeout",
                "junk",
                "non_idempotent",
                *map(str, (403, 404, 421, 425, 429, 500, 502, 503, 504)),
            ),
            "causes",
            least=0,
        ),
        "Causes: `connect` (nothing was sent), `reset` (ended before an answer), `timeout`, `junk` "
        "(no HTTP), status codes; `non_idempotent` allows them for POST and the like, too.",
        default=["connect", "reset"],
        reason="nothing that a server may have done twice",
    )


@section(main="idle")
class Keepalive:
    """Server connections kept for later requests."""

    idle: int | None = key(
        Or("off", Duration()),
        "Time one may stand unused, at most what its server says (`Keep-Alive: timeout`) less a "
        "second; `off` keeps none.",
        default="60s",
        reason="nginx's keepalive_timeout towards servers",
    )
    per_shard: int = key(
        Integer(1, 1_000_000),
        "Most unused connections per server and shard.",
        default="128",
        reason="more than a busy server has unused",
    )
    max_age: int = key(
        Duration(),
        "Age after which one is not used again.",
        default="1h",
        reason="what a name or a firewall now points to is found again",
    )


@section()
class Buffer:
    """How much is taken in for slow clients, so that they hold no server. In memory only."""

    request: int = key(
        Or("off", Size(1, 1 << 30), value=0),
        "Bytes of a request's body that are taken in before a server is picked, each request its "
        "own. A body that is longer goes on as it comes from there. Who waits for a 100 gets ours.",
        default="off",
        reason="a body that passes through costs one buffer, and most servers wait cheaply",
        example="1MiB",
    )
    response: int = key(
        Or("off", Size(1, 1 << 30), value=0),
        "Bytes of an answer that are taken in while its client is slow; a server whose answer is "
        "there to the end is free. What one read brings, up to 72KiB, is taken in anyway, while "
        "all slow clients of a shard hold less than 64MiB together; beyond, answers pass as "
        "clients take them. Who is the only one may hold all of this.",
        default="64KiB",
        reason="most answers are smaller, and a slow client costs no more than that",
        example="1MiB",
    )


@section(planned="session")
class PoolTimeouts:
    """How long each wait on a server may last."""

    connect: int = key(
        Duration(),
        "To make a connection, TLS included.",
        default="5s",
        reason="a lost packet is sent again after 1 s and 3 s",
    )
    send: int = key(
        Duration(),
        "Between two pieces of a request that the server takes.",
        default="30s",
        reason="as listeners",
    )
    response: int = key(
        Duration(),
        "From the request sent to the answer's head.",
        default="60s",
        reason="nginx's proxy_read_timeout",
    )
    receive: int = key(
        Duration(),
        "Between two pieces of an answer's body, once the request is sent.",
        default="60s",
        reason="nginx's proxy_read_timeout",
    )


@section()
class ClientCertificate:
    """Our own certificate towards servers."""

    cert: str = key(FilePath("a file"), "PEM file of the chain.", example="/etc/evener/own.pem")
    key_: str | None = key(
        FilePath("a file"),
        "PEM file of the key.",
        default=None,
        unset="it stands in `cert` too",
        example="/etc/evener/own.key",
        name="key",
    )


@section()
class PoolTls:
    """TLS towards servers."""

    verify: bool = key(
        Switch(),
        "Whether the server's certificate is verified.",
        default="on",
        reason="encryption to anyone protects from no one",
    )
    ca: str | None = key(
        Or("system", FilePath("a file with authorities")),
        "PEM file with the authorities to verify against.",
        default="system",
        reason="what the machine trusts already",
        example="/etc/evener/ca.pem",
    )
    server_name: str | None = key(
        Pattern("a host name", r"[A-Za-z0-9._-]{1,253}"),
        "Name to verify and to send as SNI.",
        default=None,
        unset="the address's host",
        example="app.internal",
    )
    client: ClientCertificate | None = key(
        Section(ClientCertificate, "a certificate"),
        "Our own certificate.",
        default=None,
        unset="none is shown",
        example="{cert: /etc/own.pem, key: /etc/own.key}",
    )
    min_version: str = key(
        Choice("1.2", "1.3"),
        "The lowest version accepted.",
        default="1.2",
        reason="older ones are broken (RFC 8996)",
    )

    def silent(self) -> tuple[str, ...]:
        """Keys without a meaning where nothing is verified."""
        return () if self.verify else ("ca",)


@section()
class PoolHttp:
    """What answers of servers may be."""

    accept: tuple[str, ...] = key(
        ACCEPT,
        "Violations in heads of answers that are let in, rebuilt and counted, as those of "
        "listeners. Folded fields of answers become one line whether `obs_fold` is named or not.",
        default=[],
        reason="what an answer's framing is must not depend on who reads it",
        example="[lf]",
    )


_TLS = Section(PoolTls, "keys of tls, {} for all defaults")
_CHECK = Section(Check, "a check such as tcp or {http: /health}")


@section(
    main="servers",
    planned="discover outlier agent panic slow_start on_down queue limits "
    "proxy_protocol source forward track scale",
)
class Pool:
    """Servers that can answer for each other, and how to choose among them."""

    protocol: str = key(
        Choice("http", "https", "fastcgi", planned="h2c h2 grpc uwsgi scgi memcached"),
        "What is spoken to its servers: `http`, `https` (http and `tls`) or `fastcgi`.",
        default="http",
        reason="what most servers speak",
    )
    scheduler: Scheduler = key(
        SCHEDULER,
        "How a server is chosen.",
        default="round_robin",
        reason="fair without knowing anything of the servers",
    )
    affinity: Affinity | None = key(
        Or("off", AFFINITY),
        "What makes a client stay with its server; so far with IPVS's schedulers.",
        default="off",
        reason="most servers do not care who comes",
        example="{client_ip: 5m}",
    )
    servers: tuple[Server, ...] = key(
        ListOf(Section(Server, SERVER_ADDRESS.expected), "servers", least=0),
        "Its servers.",
        example='["10.0.0.1:80", "10.0.0.2:80"]',
    )
    params: dict[str, str] = key(
        PARAMETERS,
        "Parameters that FastCGI servers get, with words in braces. DOCUMENT_ROOT alone makes "
        "php-fpm run: SCRIPT_FILENAME is then DOCUMENT_ROOT and the decoded path, with `index.php` "
        "in a directory. `%2F` stays so in it and in SCRIPT_NAME: to routes it is no slash either. "
        "CGI's own (REQUEST_METHOD, QUERY_STRING, REMOTE_ADDR, HTTP_* …) are sent "
        "without being told, unless they are given here.",
        default={},
        example="{DOCUMENT_ROOT: /srv/www}",
    )
    check: tuple[Check, ...] = key(
        Or("off", ListOf(_CHECK, _CHECK.expected, merges=True), value=()),
        "Active checks; of a list all must pass.",
        default="off",
        reason="`passive` alone keeps requests off dead servers",
        example="{http: /health}",
    )
    passive: Passive | None = key(
        Or("off", Section(Passive, "{fails, within, out, readmit}")),
        "Exclusion by live answers: no connection, TLS, reset or junk before the answer's head, "
        "response time-out. Never takes out the last eligible server.",
        default={},
        reason="a dead server is nobody's problem, without another word",
    )
    initial: str = key(
        Choice("up", "down"),
        "What servers are before their first check of a start, or of a reload that leaves no other "
        "server that takes traffic.",
        default="up",
        reason="a start serves at once; `passive` finds the dead ones",
    )
    retry: Retry = key(Section(Retry, "rules"), "When a request goes elsewhere.", default={})
    keepalive: Keepalive = key(
        Section(Keepalive, "times and sizes"),
        "Server connections kept.",
        default={},
    )
    buffer: Buffer = key(
        Section(Buffer, "sizes"), "How much is taken in for slow clients.", default={}
    )
    timeouts: PoolTimeouts = key(
        Section(PoolTimeouts, "times"),
        "How long each wait on a server may last.",
        default={},
    )
    http: PoolHttp = key(
        Section(PoolHttp, "rules of answers"), "Rules of HTTP answers.", default={}
    )
    tls: PoolTls | None = key(
        Or("off", _TLS),
        "TLS towards servers; `protocol: https` has it with its defaults.",
        default="off",
        reason="`protocol` decides",
    )

    def judge(self, fail: Fail, written: Container[str]) -> None:
        """Rules between its keys."""
        if self.protocol == "https" and self.tls is None and "tls" in written:
            fail("tls", "`off` with `protocol: https`", "keys of tls", "write `protocol: http`")

    @property
    def default_port(self) -> int:
        """The port of servers that are written without one."""
        return 443 if self.tls is not None else 80

    def completed(self) -> Pool:
        """With what its protocol brings along."""
        if self.protocol != "https":
            return self
        return replace(self, tls=self.tls or PoolTls(**_TLS.defaults))
