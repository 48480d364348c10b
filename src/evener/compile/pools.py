"""Pools: their part of the plan; host names become the servers they resolve to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from evener.compile.schedulers import limits, scheduler
from evener.compile.secrets import Secrets
from evener.config.addresses import ServerAddress, canonical_ip
from evener.config.schema import Check, Pool, PoolTls, Server

LOCALHOST = "127.0.0.1"


class Resolution:
    """What host names resolve to, and which did not."""

    def __init__(self, resolve: Mapping[str, Sequence[str]]) -> None:
        self._resolve = resolve
        self.names: dict[str, None] = {}
        self.warnings: list[str] = []

    def addresses(self, host: str, where: str) -> Sequence[str]:
        """The addresses of a name; none is a warning, never an error."""
        if host.lower() == "localhost":
            return [LOCALHOST]
        self.names[host] = None
        found = self._resolve.get(host, ())
        if not found:
            self.warnings.append(f"{where}: `{host}` does not resolve, so it has no server yet")
        return list(dict.fromkeys(map(canonical_ip, found)))


def pool(
    name: str,
    pool: Pool,
    resolution: Resolution,
    secrets: Secrets,
    *,
    http: bool = False,
    versions: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """A pool of the plan; `http`: an HTTP listener uses it, `versions`: the text of each policy."""
    path = f"pools.{name}"
    return {
        "name": name,
        "protocol": "fastcgi" if pool.protocol == "fastcgi" else "http",
        "tls": _tls(name, pool.tls, secrets),
        "scheduler": scheduler(pool, http=http, versions=versions),
        **({"scope": "shard"} if pool.scheduler.scope == "shard" else {}),
        "key": pool.scheduler.key_,
        "servers": _servers(path, pool, pool.default_port, resolution),
        "checks": [_check(check) for check in pool.check],
        "passive": None
        if pool.passive is None
        else {
            "fails": pool.passive.fails,
            "within": pool.passive.within,
            "out": pool.passive.out,
            "readmit": pool.passive.readmit,
        },
        "initial": pool.initial,
        "retry": {"attempts": pool.retry.attempts, "on": [_cause(word) for word in pool.retry.on]},
        "keepalive": {
            "idle": pool.keepalive.idle or 0,
            "per_shard": pool.keepalive.per_shard,
            "max_age": pool.keepalive.max_age,
        },
        "buffer": {"request": pool.buffer.request, "response": pool.buffer.response},
        "timeouts": {
            "connect": pool.timeouts.connect,
            "send": pool.timeouts.send,
            "response": pool.timeouts.response,
            "receive": pool.timeouts.receive,
        },
        "http": {
            # What `defaults` say of HTTP is not a program's business.
            "accept": [] if pool.protocol == "fastcgi" else list(dict.fromkeys(pool.http.accept)),
        },
        "params": pool.params,
    }


def _servers(path: str, pool: Pool, port: int, resolution: Resolution) -> list[dict[str, Any]]:
    servers: dict[str, tuple[dict[str, Any], Server]] = {}
    for index, server in enumerate(pool.servers):
        for made in _server(f"{path}.servers[{index}]", server, port, resolution):
            # Names written twice, or two that meet in one address, are one server with one id.
            servers.setdefault(made["id"], (made, server))
    limits(pool, list(servers.values()))
    return [made for made, _ in servers.values()]


def _server(path: str, server: Server, port: int, resolution: Resolution) -> list[dict[str, Any]]:
    address = server.address
    if address.kind != "name":
        whole = address.with_port(port)
        host = "localhost" if address.kind == "unix" else address.host
        return [_made(server, server.id or str(whole), str(whole), host)]
    made = []
    for ip in resolution.addresses(address.host, path):
        kind = "ip6" if ":" in ip else "ip4"
        whole = ServerAddress(kind, ip, address.port or port)
        name = f"{server.id or address.host}@{whole}"
        made.append(_made(server, name, str(whole), address.host))
    return made


def _made(server: Server, name: str, address: str, host: str) -> dict[str, Any]:
    return {
        "id": name,
        "address": address,
        "host": host,
        "weight": server.weight,
        "tier": server.tier,
        "admin": server.admin,
        "params": server.params,
    }


def _check(check: Check) -> dict[str, Any]:
    return {
        "kind": {"tcp": {}} if check.http is None else {"http": _request(check)},
        "every": check.every,
        "timeout": check.timeout,
        "rise": check.rise,
        "fall": check.fall,
        "fast": check.fast,
        "down": check.down,
        "jitter": check.jitter / 100,
        "port": check.port,
    }


def _request(check: Check) -> dict[str, Any]:
    return {
        "path": check.http,
        "method": check.method,
        "host": check.host,
        "headers": check.headers,
        "expect": {
            "status": [list(pair) for pair in check.expect.status],
            "body": check.expect.body,
            "header": check.expect.header,
        },
    }


def _cause(word: str) -> Any:
    return {"status": int(word)} if word.isdigit() else word


def _tls(pool: str, tls: PoolTls | None, secrets: Secrets) -> dict[str, Any] | None:
    if tls is None:
        return None
    client = tls.client
    where = ("pools", pool, "tls")
    return {
        "verify": tls.verify,
        "ca": tls.ca and secrets.add(tls.ca, key=False, where=(*where, "ca")),
        "server_name": tls.server_name,
        "client": client
        and secrets.add(client.cert, client.key_, key=True, where=(*where, "client")),
        "min_version": tls.min_version,
    }
