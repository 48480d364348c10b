"""`defaults`: laid under each listener, pool and route before anything is read."""

from __future__ import annotations

from evener.config.kinds import Section
from evener.config.node import Mapping, Node, Scalar, Sequence
from evener.config.schema import LISTENER, POOL, ROUTE


def apply(root: Node) -> Node:
    """The tree with `defaults.listener|pool|route` merged under the things they are for."""
    if not isinstance(root, Mapping) or "defaults" not in root.entries:
        return root
    shared = root.entries["defaults"][1]
    if not isinstance(shared, Mapping):
        return root
    under = {name: node for name, (_, node) in shared.entries.items() if isinstance(node, Mapping)}
    entries = dict(root.entries)
    for name, section, kind in (("listeners", LISTENER, "listener"), ("pools", POOL, "pool")):
        if name in entries and kind in under:
            key, node = entries[name]
            entries[name] = (key, _under_each(node, section, under[kind]))
    if "route" in under and "listeners" in entries:
        key, node = entries["listeners"]
        entries["listeners"] = (key, _under_routes(node, under["route"]))
    return Mapping(entries, root.file, root.line, root.column)


def _under_each(things: Node, section: Section, shared: Mapping) -> Node:
    if not isinstance(things, Mapping):
        return things
    entries = {
        name: (key, section.merge(shared, node)) for name, (key, node) in things.entries.items()
    }
    return Mapping(entries, things.file, things.line, things.column)


def _under_routes(listeners: Node, shared: Mapping) -> Node:
    if not isinstance(listeners, Mapping):
        return listeners
    entries: dict[str, tuple[Scalar, Node]] = {}
    for name, (key, listener) in listeners.entries.items():
        if isinstance(listener, Mapping) and "routes" in listener.entries:
            routes_key, routes = listener.entries["routes"]
            merged = (routes_key, _merged_routes(routes, shared))
            within = {**listener.entries, "routes": merged}
            entries[name] = (key, Mapping(within, listener.file, listener.line, listener.column))
        else:
            entries[name] = (key, listener)
    return Mapping(entries, listeners.file, listeners.line, listeners.column)


def _merged_routes(routes: Node, shared: Mapping) -> Node:
    items = routes.items if isinstance(routes, Sequence) else [routes]
    merged = [ROUTE.merge(shared, route) for route in items]
    return Sequence(merged, routes.file, routes.line, routes.column)
