"""The whole plan, and what the supervisor has to do besides sending it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from evener.compile.listeners import Socket, listener, sockets
from evener.compile.pools import Resolution, pool
from evener.compile.secrets import Secret, Secrets
from evener.compile.warnings import warnings
from evener.config import Config
from evener.config.rules import pools_of
from evener.config.schema import Evener

# CONFIG.md, `evener.limits`: of the descriptor limit, what clients may take.
_CLIENT_SHARE = 85


class Facts(NamedTuple):
    """What the machine knows and a configuration can't.

    Attributes:
        descriptors: the hard limit of open descriptors.
        ipv6: whether sockets of IPv6 can be made.
        policies: of each policy, which text of it there is.
    """

    descriptors: int = 1024
    ipv6: bool = True
    policies: Mapping[str, str] = MappingProxyType({})


class Settings(NamedTuple):
    """What is the supervisor's own business.

    Attributes:
        run: run directory; None as PROCESS.md says.
        state: state directory; None as CONFIG.md says.
        shards: worker threads; None is one for each core this process may use.
        admin: path of the admin socket; None is `admin.sock` in the run directory.
        metrics: address of the metrics page, or None.
        log_level: least level of the log.
        log_to: `stderr`, `stdout` or a path.
        access_to: the same for the access log; None when there is none.
        drain_requests: time for requests in hand, in milliseconds.
        drain_tunnels: time for tunnels and TCP sessions, in milliseconds.
    """

    run: str | None
    state: str | None
    shards: int | None
    admin: str | None
    metrics: str | None
    log_level: str
    log_to: str
    access_to: str | None
    drain_requests: int
    drain_tunnels: int


class Compiled(NamedTuple):
    """A plan and what belongs to it.

    Attributes:
        plan: the plan, as `Plan::from_json` reads it.
        secrets: what to read and send apart, by id.
        binds: what to listen on.
        names: host names that have to be resolved, now and again.
        settings: what is the supervisor's own business.
        warnings: what is worth a line but no reason to refuse.
    """

    plan: dict[str, Any]
    secrets: dict[str, Secret]
    binds: tuple[Socket, ...]
    names: tuple[str, ...]
    settings: Settings
    warnings: tuple[str, ...]


def compile(
    config: Config,
    *,
    generation: int = 1,
    resolve: Mapping[str, Sequence[str]],
    facts: Facts,
) -> Compiled:
    """The plan of a configuration.

    Args:
        config: the configuration.
        generation: the plan's number.
        resolve: addresses by host name, as `names` asked for; a name that is missing has none.
        facts: what the machine knows.

    Raises:
        ConfigError: the configuration is wrong; it has all problems.
    """
    root = config.settings
    bound = sockets(root.listeners, ipv6=facts.ipv6)
    secrets = Secrets(config.place)
    resolution = Resolution(resolve)
    asked = {
        name
        for each in root.listeners.values()
        if each.protocol == "http"
        for name in pools_of(each)
    }
    plan = {
        "generation": generation,
        "drain": {
            "requests": root.evener.drain.requests,
            "tunnels": root.evener.drain.tunnels,
        },
        "connections": _connections(root.evener, facts),
        "access_log": {
            "format": root.evener.log.access.format,
            "sample": root.evener.log.access.sample / 100,
        },
        "listeners": [
            listener(name, thing, [socket.address for socket in bound[name]], secrets)
            for name, thing in root.listeners.items()
        ],
        "pools": [
            pool(
                name,
                thing,
                resolution,
                secrets,
                http=name in asked,
                versions=facts.policies,
            )
            for name, thing in root.pools.items()
        ],
    }
    return Compiled(
        plan,
        secrets.by_id,
        tuple(socket for group in bound.values() for socket in group),
        tuple(resolution.names),
        _settings(root.evener),
        (*config.warnings(), *warnings(root), *resolution.warnings),
    )


def names(config: Config) -> tuple[str, ...]:
    """The host names whose addresses `compile` wants, each once."""
    found = {
        server.address.host: None
        for pool in config.settings.pools.values()
        for server in pool.servers
        if server.address.kind == "name" and server.address.host.lower() != "localhost"
    }
    return tuple(found)


def _connections(evener: Evener, facts: Facts) -> int:
    written = evener.limits.connections
    return written if written is not None else max(1, facts.descriptors * _CLIENT_SHARE // 100)


def _settings(evener: Evener) -> Settings:
    admin, metrics, access = evener.admin.bind, evener.metrics.bind, evener.log.access
    return Settings(
        run=evener.run,
        state=evener.state,
        shards=evener.shards,
        admin=None if admin is None else admin.host,
        metrics=None if metrics is None else str(metrics),
        log_level=evener.log.level,
        log_to=evener.log.to,
        access_to=None if access.format == "off" else access.to,
        drain_requests=evener.drain.requests,
        drain_tunnels=evener.drain.tunnels,
    )
