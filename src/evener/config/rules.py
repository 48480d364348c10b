"""Rules between things: names that must exist, keys that contradict each other.

Called after every key was read by itself; what could not be read is not judged again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from collections.abc import Mapping as Named
from typing import TypeAlias, TypeVar

from evener.config.addresses import BindAddress, Bound, ServerAddress
from evener.config.model import BAD
from evener.config.node import Mapping, Node, Sequence
from evener.config.report import Path, Report, nearest, show
from evener.config.schema import HTTP_ONLY, HTTP_TIMES, Listener, Pool, Root, Route, Server
from evener.config.schema.scheduler import Scheduler
from evener.config.templates import TCP_WORDS

# HAProxy's SRV_UWGHT_MAX.
_HAPROXY_WEIGHT = 256
# nginx's consistent hash makes 160 points of each: 128 MB of them.
_RING_WEIGHTS = 100_000

NO_LISTENER = (
    "no listener",
    "at least one",
    'for example `listeners: {web: {bind: ":80", pool: app}}`',
)
"""What is said of a configuration that listens nowhere, once it is to be served."""

Listeners: TypeAlias = Named[str, Listener]
_Thing = TypeVar("_Thing")


def judge(root: Root, node: Node, report: Report) -> None:
    """Reports what contradicts itself in a tree whose keys are right one by one.

    Args:
        root: the typed tree.
        node: the tree as written, for places.
        report: takes the problems.
    """
    rules = _Rules(root, node, report)
    rules.addresses(root)
    users: dict[str | None, dict[str, Listener]] = {}
    for name, listener in root.listeners.items():
        rules.listener(((None, "listeners"), name), listener)
        for used in pools_of(listener):
            users.setdefault(used, {})[name] = listener
    for name, pool in root.pools.items():
        path = ((None, "pools"), name)
        rules.pool(path, pool)
        rules.scheduler((path, "scheduler"), pool.scheduler, users.get(name, {}))


def pools_of(listener: Listener) -> set[str | None]:
    """The names of the pools that serve a listener."""
    return {listener.pool, *(route.pool for _, route in _good(listener.routes))}


class _Rules:
    def __init__(self, root: Root, node: Node, report: Report) -> None:
        self._root = root
        self._node = node
        self._report = report
        pools = _child(node, "pools")
        self._pools = [*pools.entries] if isinstance(pools, Mapping) else []
        self._known = {*self._pools}

    def addresses(self, root: Root) -> None:
        """Rules of all that is listened on together."""
        bound: Bound[Path] = Bound()
        for name, listener in root.listeners.items():
            for index, bind in _good(listener.bind):
                here = ((((None, "listeners"), name), "bind"), index)
                self._once(bound, here, bind.address, shares=True)
        own = {"metrics": root.evener.metrics.bind, "admin": root.evener.admin.bind}
        for name, address in own.items():
            if address is not None:
                self._once(bound, (((None, "evener"), name), "bind"), address, shares=False)

    def listener(self, path: Path, listener: Listener) -> None:
        """Rules of a listener."""
        if listener.protocol == "tcp":
            self._tcp(path, listener)
        elif listener.redirect is not None:
            for key in ("pool", "routes"):
                if getattr(listener, key):
                    hint = "the whole listener answers with the redirect: take one of them out"
                    self._wrong((path, key), f"`{key}` beside `redirect`", "one answer", hint)
        self._pool_exists((path, "pool"), listener.pool)
        for index, route in _good(listener.routes):
            self._route(((path, "routes"), index), route)

    def pool(self, path: Path, pool: Pool) -> None:
        """Rules of a pool."""
        ids: dict[str, Path] = {}
        for index, server in _good(pool.servers):
            here = ((path, "servers"), index)
            name = server.id or str(server.address.with_port(pool.default_port))
            if name in ids:
                hint = f"it stands first at {self._at(ids[name]).place}; give one of them an `id`"
                self._wrong(here, f"the server `{name}` twice", "each server once", hint)
            ids.setdefault(name, here)
            if server.params and pool.protocol != "fastcgi":
                self._params((here, "params"), pool)
            if pool.protocol == "fastcgi" and server.address.port is None:
                self._needs_port((here, "address"), server.address)
            self._room((here, "max_connections"), server, pool.scheduler)
            if pool.scheduler.program == "haproxy" and server.weight > _HAPROXY_WEIGHT:
                got = f"weight {server.weight} with `{pool.scheduler.shown}`"
                self._wrong((here, "weight"), got, f"a weight from 0 to {_HAPROXY_WEIGHT}")
        ringed = pool.scheduler.shown == "nginx/hash" and pool.scheduler.consistent
        weights = sum(server.weight for _, server in _good(pool.servers))
        if ringed and weights > _RING_WEIGHTS:
            got = f"weights of {weights:,} together with `nginx/hash` and `consistent: on`"
            hint = "each makes 160 points of a ring; divide them all by the same"
            self._wrong((path, "servers"), got, f"{_RING_WEIGHTS:,} at most", hint)
        for index, check in _good(pool.check):
            if pool.protocol == "fastcgi" and check.http is not None:
                asked = (((path, "check"), index), "http")
                got, hint = "an http check of FastCGI servers", "write `check: tcp`"
                self._wrong(asked, got, "a check that they can answer", hint)
        if pool.http.accept and self._written((path, "http")) and pool.protocol == "fastcgi":
            got = "`accept` with `protocol: fastcgi`"
            hint = "heads of programs may end their lines with LF anyhow; leave it out"
            self._wrong(((path, "http"), "accept"), got, "it with servers that speak HTTP", hint)
        if pool.tls is not None and not pool.tls.verify and self._written(((path, "tls"), "ca")):
            hint = "nothing is verified without it: take one of them out"
            self._wrong(((path, "tls"), "ca"), "`ca` with `verify: off`", "`verify: on`", hint)
        if pool.params and self._written((path, "params")) and pool.protocol != "fastcgi":
            self._params((path, "params"), pool)
        if pool.scheduler.scope == "shard":
            self._of_all_shards(path, pool)
        if pool.affinity is not None and pool.scheduler.program != "lvs":
            got = f"`affinity` with `{pool.scheduler.shown}`"
            hint = "with other schedulers it is planned but not built yet"
            self._wrong((path, "affinity"), got, "it with IPVS's schedulers such as wlc", hint)
        if pool.affinity is None and pool.scheduler.expire_quiescent:
            got = "`expire_quiescent` without `affinity`"
            self._wrong(((path, "scheduler"), "expire_quiescent"), got, "clients that are kept")

    def scheduler(self, path: Path, scheduler: Scheduler, users: Listeners) -> None:
        """Rules of a scheduler and the listeners that use its pool."""
        spelling = scheduler.spelling
        if spelling is None:
            return
        for name, listener in users.items():
            where = f"in a pool of the {listener.protocol} listener `{name}`"
            if spelling.speaks and spelling.speaks != listener.protocol:
                got = f"`{scheduler.shown}` {where}"
                expected = f"a scheduler that asks for nothing of {spelling.speaks}"
                self._wrong((path, "name"), got, expected)
            elif listener.protocol == "tcp" and scheduler.http_words:
                got = f"`{scheduler.http_words[0]}` {where}"
                expected = "words that a session has: " + ", ".join(TCP_WORDS)
                self._wrong((path, "key"), got, expected)

    def _once(self, bound: Bound[Path], path: Path, address: BindAddress, *, shares: bool) -> None:
        first = bound.take(address, path, shares=shares)
        if first is not None:
            other, where = first
            got = f"`{address}` " + ("twice" if other == address else f"beside `{other}`")
            hint = f"it is listened on first at {self._at(where).place}, {show(where)}"
            self._wrong(path, got, "each address once", hint)

    def _room(self, path: Path, server: Server, scheduler: Scheduler) -> None:
        room = server.max_connections
        if room is None:
            return
        got = f"with `{scheduler.shown}`"
        if room.low is not None and scheduler.program != "lvs":
            hint = "others take new ones as soon as there is room"
            expected = "it with IPVS's schedulers such as wlc"
            self._wrong((path, "low"), f"`low` {got}", expected, hint)
        if scheduler.waits:
            hint = "there a full server's requests wait for it, and queues are not built yet"
            expected = "it with `consistent: on, preserve_affinity: maxconn`, which passes by"
            self._wrong(path, f"`max_connections` {got}", expected, hint)

    def _of_all_shards(self, path: Path, pool: Pool) -> None:
        """What only a scheduler that knows all shards can keep."""
        hint = "leave out `scope: shard`, or that"
        for index, server in _good(pool.servers):
            if server.max_connections is not None:
                here = (((path, "servers"), index), "max_connections")
                got = "`max_connections` with `scope: shard`"
                self._wrong(here, got, "it with one scheduler for all shards", hint)
        if pool.affinity is not None:
            got = "`affinity` with `scope: shard`"
            expected = "it with one scheduler for all shards: a client may meet any"
            self._wrong((path, "affinity"), got, expected, hint)

    def _tcp(self, path: Path, listener: Listener) -> None:
        for key in HTTP_ONLY:
            if self._written((path, key)):
                hint = "a tcp listener relays bytes to its pool"
                self._wrong((path, key), f"`{key}` with `protocol: tcp`", "it with http only", hint)
        for key in HTTP_TIMES:
            if self._written(((path, "timeouts"), key)):
                got = f"`{key}` with `protocol: tcp`"
                hint = "a session has `timeouts.tunnel`, and `timeouts.tls` before it"
                self._wrong(((path, "timeouts"), key), got, "it with http only", hint)
        pool = self._root.pools.get(listener.pool or "")
        if pool is not None and pool.protocol == "fastcgi":
            got = f"`{listener.pool}`, a pool of FastCGI servers, with `protocol: tcp`"
            hint = "a tcp listener relays bytes as they come: without FastCGI leave `protocol` out"
            self._wrong((path, "pool"), got, "a pool whose servers speak as clients do", hint)
        if listener.pool is None:
            self._wrong(path, "no `pool` with `protocol: tcp`", "`pool`: the name of a pool")

    def _route(self, path: Path, route: Route) -> None:
        self._pool_exists((path, "pool"), route.pool)
        if route.respond is not None and route.respond.needs is not None:
            here = (((path, "respond"), "needs"), "pool")
            self._pool_exists(here, route.respond.needs.pool)

    def _pool_exists(self, path: Path, name: str | None) -> None:
        if name is None or name in self._known:
            return
        known = ", ".join(self._pools[:20]) or "nothing yet: there are no pools"
        expected = f"one of the pools: {known}"
        self._wrong(path, f"`{name}`", expected, nearest(name, self._pools))

    def _params(self, path: Path, pool: Pool) -> None:
        got = f"`params` with `protocol: {pool.protocol}`"
        self._wrong(path, got, "them with `protocol: fastcgi`", "HTTP has no parameters")

    def _needs_port(self, path: Path, address: ServerAddress) -> None:
        if address.kind != "unix":
            hint = f"php-fpm's is `{address.with_port(9000)}`"
            self._wrong(path, f"`{address}`", "an address with a port", hint)

    def _wrong(self, path: Path, got: str, expected: str, hint: str = "") -> None:
        self._report.add(self._at(path), path, got, expected, hint)

    def _at(self, path: Path) -> Node:
        """The node that wrote this, or the nearest above it that is written."""
        if path is None:
            return self._node
        found = self._written(path)
        return found if found is not None else self._at(path[0])

    def _written(self, path: Path) -> Node | None:
        if path is None:
            return self._node
        above = self._written(path[0])
        return None if above is None else _child(above, path[1])


def _good(things: Iterable[_Thing]) -> Iterator[tuple[int, _Thing]]:
    """Things with their places in a list, but for those that could not be read."""
    return ((index, thing) for index, thing in enumerate(things) if thing is not BAD)


def _child(node: Node, step: str | int) -> Node | None:
    if isinstance(node, Mapping):
        entry = node.entries.get(str(step))
        # One thing stands for a list of it.
        return entry[1] if entry else (node if step == 0 else None)
    if isinstance(node, Sequence):
        if isinstance(step, int):
            return node.items[step] if step < len(node.items) else None
        # A pool may be just its list of servers.
        return node if step == "servers" else None
    return node if step == 0 or step == "servers" else None
