"""Schedulers: from a spelling and its parameters to the plan's variant.

Rules kept here:
- A parameter is written under its own name, unless the plan groups it: HAProxy's hashes and IPVS's
  services have groups of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from evener.config.schema import ClientIp, Pool, Scheduler, Server

_INACTIVE = 120_000
"""The kernel's time-out of TIME_WAIT, in milliseconds."""

_TWO = {
    "least_conn": "least_conn",
    "least_time=header": "least_time_header",
    "least_time=last_byte": "least_time_last_byte",
}


def scheduler(
    pool: Pool, *, http: bool, versions: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """The scheduler of a pool; `http`: an HTTP listener uses it, `versions`: which text of each
    policy.

    Its key is no part of it: see `Pool.key` of the plan.
    """
    held = pool.scheduler
    if held.policy is not None:
        return {
            "name": held.shown,
            "policy": held.policy,
            "version": (versions or {}).get(held.policy, ""),
            "timeout": held.timeout,
            "fallback": scheduler(replace(pool, scheduler=held.spare), http=http),
        }
    return {"name": held.shown, **_FORMS.get(held.program, _plain)(pool, http)}


def limits(pool: Pool, servers: list[tuple[dict[str, Any], Server]]) -> None:
    """Adds to servers of the plan how much each may have at once, and its number."""
    numbered = pool.scheduler.program == "haproxy" and any(_number(server) for _, server in servers)
    numbers = _numbers([server for _, server in servers]) if numbered else [0] * len(servers)
    for (made, server), number in zip(servers, numbers, strict=True):
        room = server.max_connections
        most, again = (room.high, room.low or 0) if room else (0, 0)
        if most or number:
            made["limits"] = {"most": most, "again": again, "number": number}


def _plain(pool: Pool, http: bool) -> dict[str, Any]:
    held = pool.scheduler
    assert held.spelling is not None
    return {name: getattr(held, name) for name in held.spelling.takes if name != "key"}


def _nginx(pool: Pool, http: bool) -> dict[str, Any]:
    plain = _plain(pool, http)
    if plain.get("two"):
        plain["two"] = _TWO[plain["two"]]
    return plain


def _lvs(pool: Pool, http: bool) -> dict[str, Any]:
    held = pool.scheduler
    unset = 0 if http else _INACTIVE
    client = None if pool.affinity is None else pool.affinity.client_ip
    service = {
        "inactive": unset if held.inactive is None else held.inactive,
        "persistence": client and _persistence(client, held),
    }
    if held.name in ("sh", "mh"):
        flags = {"port": "port" in held.flags, "fallback": "fallback" in held.flags}
        return {**flags, "service": service}
    if held.name in ("lblc", "lblcr"):
        return {"expiration": held.expiration, "service": service}
    return service


def _persistence(client: ClientIp, held: Scheduler) -> dict[str, Any]:
    return {
        "timeout": client.for_,
        "prefix_v4": client.prefix(32),
        "prefix_v6": client.prefix(128),
        "expire_quiescent": held.expire_quiescent,
    }


def _haproxy(pool: Pool, http: bool) -> dict[str, Any]:
    plain = _plain(pool, http)
    if "hash_key" not in plain:
        return plain
    held = pool.scheduler
    grouped = {
        "consistent": held.consistent,
        "function": held.function or "sdbm",
        "avalanche": held.mixes,
        "balance_factor": held.balance_factor or 0,
        "key": held.hash_key,
        "pass_full": held.preserve_affinity == "maxconn",
    }
    groups = {*grouped, "hash_key", "preserve_affinity"}
    own = {name: value for name, value in plain.items() if name not in groups}
    return {**own, "ring" if held.name == "random" else "hash": grouped}


_FORMS = {"nginx": _nginx, "lvs": _lvs, "haproxy": _haproxy}


def _number(server: Server) -> int:
    """The number that its id is; 0 if it is none (HAProxy's `id` is 1 to 2**31 - 1)."""
    text = server.id or ""
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 11 else 0
    return number if number < 1 << 31 else 0


def _numbers(servers: list[Server]) -> list[int]:
    """Each server's number: its own, else the next that nobody has, counting every server."""
    taken = {_number(server) for server in servers}
    numbers = []
    following = 1
    for server in servers:
        number = _number(server)
        if not number:
            while following in taken:
                following += 1
            number = following
            taken.add(number)
        numbers.append(number)
        following += 1
    return numbers
