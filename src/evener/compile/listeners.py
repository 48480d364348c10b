"""Listeners: their part of the plan, and the sockets that have to be made for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, NamedTuple

from evener.compile.routes import redirect_all, routes
from evener.compile.secrets import Secrets
from evener.config.addresses import ServerAddress
from evener.config.schema import UNIX_MODE, Bind, Listener

ALPN = {"h1": "http/1.1"}
"""Versions of HTTP as TLS names them (RFC 7301 §6)."""


class Socket(NamedTuple):
    """A socket to listen on.

    Attributes:
        address: as in the plan's `bind`.
        listener: whose it is.
        mode: permission bits of a unix socket.
        group: group of a unix socket; None leaves it.
        optional: left out without an error where no IPv6 socket can be made.
    """

    address: str
    listener: str
    mode: int
    group: str | None
    optional: bool


def listener(name: str, listener: Listener, sockets: list[str], secrets: Secrets) -> dict[str, Any]:
    """A listener of the plan."""
    times, rate = listener.timeouts, listener.limits.rate_per_client
    return {
        "name": name,
        "bind": sockets,
        "protocol": listener.protocol,
        "tls": _tls(name, listener, secrets),
        "http": {
            "max_head": listener.http.max_head,
            "max_fields": listener.http.max_fields,
            "max_body": listener.http.max_body,
            "underscores": listener.http.underscores,
            "via": listener.http.via,
            "interim": listener.http.interim,
            "accept": list(dict.fromkeys(listener.http.accept)),
        },
        "trusted_proxies": list(listener.trusted_proxies),
        "timeouts": {
            "tls": times.tls,
            "head": times.head,
            "body": times.body,
            "send": times.send,
            "idle": times.idle,
            "tunnel_idle": times.tunnel.idle,
            "tunnel_max": times.tunnel.max,
            "min_rate": times.min_rate or 0,
        },
        "connections": listener.limits.connections,
        "per_client": listener.limits.per_client,
        "rate_per_client": asdict(rate) if rate else None,
        "redirect": redirect_all(listener.redirect),
        "routes": routes(listener.routes),
        "pool": listener.pool,
    }


def sockets(listeners: Mapping[str, Listener], *, ipv6: bool) -> dict[str, list[Socket]]:
    """The sockets of each listener."""
    return {
        name: [made for bind in listener.bind for made in _sockets(name, bind, ipv6=ipv6)]
        for name, listener in listeners.items()
    }


def _sockets(listener: str, bind: Bind, *, ipv6: bool) -> list[Socket]:
    mode = int(bind.mode or UNIX_MODE, 8)
    every = bind.address.kind == "all"
    return [
        Socket(address, listener, mode, bind.group, every and address.startswith("["))
        for address in _addresses(bind, ipv6=ipv6)
    ]


def _addresses(bind: Bind, *, ipv6: bool) -> list[str]:
    address = bind.address
    if address.kind != "all":
        return [str(ServerAddress(*address))]
    both = [f"0.0.0.0:{address.port}", f"[::]:{address.port}"]
    return both if ipv6 else both[:1]


def _tls(name: str, listener: Listener, secrets: Secrets) -> dict[str, Any] | None:
    if listener.tls is None:
        return None
    where = ("listeners", name, "tls", "certificates")
    versions = dict.fromkeys(listener.http.versions)
    return {
        "certificates": [
            secrets.add(certificate.cert, certificate.key_, key=True, where=(*where, index))
            for index, certificate in enumerate(listener.tls.certificates)
        ],
        "min_version": listener.tls.min_version,
        "alpn": [] if listener.protocol != "http" else [ALPN[version] for version in versions],
    }
