"""`evener`: the instance itself, its directories, threads, limits, admin socket, metrics, logs."""

from __future__ import annotations

from collections.abc import Container

from evener.config.addresses import BIND_ADDRESS, SOCKET_PATH, BindAddress
from evener.config.kinds import Or, Section
from evener.config.model import Fail, key, section
from evener.config.scalars import Choice, Duration, FilePath, Integer, Percent


@section(planned="workers")
class Drain:
    """How long work in hand may go on when something drains."""

    requests: int = key(
        Duration(),
        "Time for requests in hand.",
        default="30s",
        reason="longer than nearly any answer takes, shorter than most restart time-outs",
    )
    tunnels: int = key(
        Duration(),
        "Time for upgraded connections and TCP sessions of a listener that was removed; at stop "
        "they have `requests`.",
        default="1h",
        reason="what runs through a tunnel can't be moved to another connection",
    )


@section()
class InstanceLimits:
    """Limits of the instance as a whole."""

    connections: int | None = key(
        Or("auto", Integer(1, 100_000_000)),
        "Most client connections held at once; beyond it accepting pauses, and is counted.",
        default="auto",
        reason="85 % of the descriptor limit leaves descriptors for servers, logs and reloads",
    )


@section(planned="tokens clients")
class Admin:
    """The admin socket: HTTP API, metrics, commands."""

    bind: BindAddress | None = key(
        BIND_ADDRESS,
        "Its unix socket.",
        default=None,
        unset="`admin.sock` in the run directory",
        example="unix:/run/evener/admin.sock",
        live=False,
    )

    def judge(self, fail: Fail, written: Container[str]) -> None:
        """Rules between its keys."""
        if self.bind is not None and self.bind.kind != "unix":
            fail(
                "bind",
                f"`{self.bind}`",
                "a unix socket such as unix:/run/evener/admin.sock",
                "tokens and client certificates, without which TCP is closed, are not built yet",
            )


@section()
class Metrics:
    """The read-only Prometheus page."""

    bind: BindAddress | None = key(
        Or("off", BIND_ADDRESS),
        "The address it is served on besides the admin socket.",
        default="off",
        reason="figures are for those who may see them; the admin socket always has the page",
        example="127.0.0.1:9901",
    )

    def judge(self, fail: Fail, written: Container[str]) -> None:
        """Rules between its keys."""
        if self.bind is not None and self.bind.kind == "unix":
            hint = "on a unix socket the page is at `admin.bind`"
            fail("bind", f"`{self.bind}`", "a TCP address such as 127.0.0.1:9901", hint)


@section(main="format")
class Access:
    """The access log: a line for each request, and for each TCP session when it is over."""

    format: str = key(
        Choice("json", "combined", "off", planned="haproxy"),
        "The form of a line: `json`, `combined` (what web servers share) or `off`.",
        default="json",
        reason="every field has its name, so that no reader has to guess",
    )
    to: str = key(
        FilePath("a path, `stdout` or `stderr`"),
        "Where lines go: `stdout`, `stderr` or a file.",
        default="stdout",
        reason="a container's or systemd's journal takes it from there",
    )
    sample: float = key(
        Percent(),
        "Share of the requests and TCP sessions that get a line.",
        default="100%",
        reason="a line that is missing is missed",
    )


@section()
class Log:
    """Evener's own log, and the access log."""

    level: str = key(
        Choice("debug", "info", "warning", "error"),
        "The least level that is written.",
        default="info",
        reason="changes of state are worth a line, single requests are the access log's",
    )
    to: str = key(
        FilePath("a path, `stdout` or `stderr`"),
        "Where it goes: `stderr`, `stdout` or a file.",
        default="stderr",
        reason="words for people, apart from data on stdout",
    )
    access: Access = key(Section(Access, "an access log"), "The access log.", default={})


LONGEST_RUN = SOCKET_PATH - len("/worker-1000000.sock")
"""Bytes of a run directory's path: there are sockets in it."""


@section(planned="user")
class Evener:
    """The instance itself."""

    run: str | None = key(
        FilePath("a directory", absolute=True),
        "The run directory: it is the identity of the instance.",
        default=None,
        unset="$RUNTIME_DIRECTORY, /run/evener as root, $XDG_RUNTIME_DIR/evener, else a private "
        "directory under the temporary one",
        example="/run/evener",
        live=False,
    )
    state: str | None = key(
        FilePath("a directory", absolute=True),
        "Where people's words outlive a restart. Each instance has a "
        "folder of its own in it, named after its run directory.",
        default=None,
        unset="/var/lib/evener, else ~/.local/state/evener",
        example="/var/lib/evener",
    )
    shards: int | None = key(
        Or("auto", Integer(1, 1024)),
        "Worker threads.",
        default="auto",
        reason="one for each core this process may use",
        live=False,
    )
    drain: Drain = key(Section(Drain, "times to drain"), "Times to drain.", default={})
    limits: InstanceLimits = key(Section(InstanceLimits, "limits"), "Limits.", default={})
    admin: Admin = key(Section(Admin, "an admin socket"), "The admin socket.", default={})
    metrics: Metrics = key(Section(Metrics, "a metrics page"), "The metrics page.", default={})
    log: Log = key(Section(Log, "logs"), "Logs.", default={})

    def judge(self, fail: Fail, written: Container[str]) -> None:
        """Rules between its keys."""
        if self.run is not None and len(self.run.encode()) > LONGEST_RUN:
            got, hint = f"a path of {len(self.run.encode())} bytes", "there are sockets in it"
            fail("run", got, f"one of {LONGEST_RUN} at most", hint)
