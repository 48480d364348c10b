"""What `evener show status` tells: problems first, then listeners, then pools and servers.

Rules kept here:
- Pure: facts come in, one JSON-like tree goes out; all words about problems are made here, so
  that the command, the API and a dashboard say the same.
- A problem is an error (something does not work), a warning (something is out) or a note.
Not known here: where the facts come from, and how the tree is drawn.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from evener.admin.plain import count, span
from evener.control.keeper import Record
from evener.control.serving import Reload
from evener.telemetry.window import View

Tree = dict[str, Any]

#: Servers named one by one among the problems; more are counted.
NAMED = 20
#: Milliseconds before a certificate ends that it is a problem: whatever renews certificates does so
#: a month before (certbot: 30 days), and has failed by then.
SOON = 14 * 86_400_000
#: States in which a server takes no new traffic.
OUT = ("down", "ejected", "draining", "maintenance")
_NO_SERVER = "evener_pool_no_server_total"
_PICKS = "evener_pool_policy_picks_total"
#: What the label `why` can be: for what a policy's fallback picked.
_WHYS = ("not_ready", "open", "busy", "timeout", "error", "unfit", "declined")
_FAILURES = ("evener_server_failures_total", "evener_server_connect_failures_total")


@dataclass(frozen=True)
class Scene:
    """Everything a status is made of. Times are milliseconds since 1970."""

    now: int
    instance: Mapping[str, Any]
    plan: Mapping[str, Any]
    bound: Mapping[str, str]
    queued: Mapping[str, int]
    servers: Mapping[tuple[str, str], Mapping[str, Any]]
    worker: Mapping[str, Any]
    record: Record
    last: Reload | None
    failed: Reload | None
    unresolved: Mapping[str, str]
    certificates: Mapping[str, float]
    view: View


def status(scene: Scene) -> Tree:
    """The whole tree."""
    return {
        "now": scene.now,
        "instance": dict(scene.instance),
        "problems": list(problems(scene)),
        "plan": _plan(scene),
        "worker": _worker(scene),
        "listeners": [_listener(scene, each) for each in scene.plan["listeners"]],
        "pools": [_pool(scene, each) for each in scene.plan["pools"]],
    }


def problems(scene: Scene) -> Iterator[Tree]:
    """What needs a look, the worst first."""
    parts = (_of_worker, _of_plan, _of_certificates, _of_listeners, _of_pools, _of_machine)
    found = [problem for part in parts for problem in part(scene)]
    yield from sorted(found, key=lambda each: ("error", "warning", "note").index(each["level"]))


def _problem(level: str, text: str, since: int | None = None) -> Tree:
    return {"level": level, "text": text, "since": since}


def _of_worker(scene: Scene) -> Iterator[Tree]:
    record = scene.record
    if not scene.worker:
        wait = f"; the next one starts in {record.paused:g} s" if record.paused else ""
        text = f"no worker is serving: the last one {record.last_death}{wait}"
        yield _problem("error", text, record.last_death_at or None)
    elif record.deaths:
        times = "once" if record.deaths == 1 else f"{record.deaths} times"
        text = f"the worker was replaced {times}; the last one {record.last_death}"
        yield _problem("warning", text, record.last_death_at)


def _of_plan(scene: Scene) -> Iterator[Tree]:
    if scene.record.fallen_back:
        yield _problem("error", f"file and served plan differ: {scene.record.fallen_back}")
    if scene.failed is not None:
        lines = "; ".join(scene.failed.errors)
        text = f"file and served plan differ: the last {scene.failed.cause} failed: {lines}"
        yield _problem("error", text, scene.failed.at)
    for name, why in sorted(scene.unresolved.items()):
        yield _problem("warning", f"{name} does not resolve: {why}")


def _of_certificates(scene: Scene) -> Iterator[Tree]:
    for file, end in scene.certificates.items():
        left = end * 1000 - scene.now
        if left <= 0:
            yield _problem("error", f"the certificate {file} has ended", round(end * 1000))
        elif left < SOON:
            yield _problem("warning", f"the certificate {file} ends in {span(left)}")


def _of_listeners(scene: Scene) -> Iterator[Tree]:
    waits = 0
    for listener in scene.plan["listeners"]:
        waiting, limit = waiting_at(listener, scene.queued), listener["connections"]
        waits += waiting
        if limit is not None and _open(scene, listener) >= limit:
            name = f"listener {listener['name']}"
            yield _problem("warning", _full(name, limit, waiting))
    limit = scene.plan["connections"]
    if (scene.worker.get("connections") or 0) >= limit:
        yield _problem("warning", _full("the worker", limit, waits))


def _full(who: str, limit: int, waiting: int) -> str:
    wait = "1 waits" if waiting == 1 else f"{waiting} wait"
    return f"{who}: at its limit of {count(limit, 'connection')}, {wait} in the kernel's queue"


def _of_pools(scene: Scene) -> Iterator[Tree]:
    named = 0
    out: list[Mapping[str, Any]] = []
    for pool in scene.plan["pools"]:
        facts = _facts_of(scene, pool)
        yield from _of_policy(scene, pool["name"])
        if pool["servers"] and not any(each["state"] == "up" and each["weight"] for each in facts):
            yield _problem("error", f"pool {pool['name']}: none of its servers takes traffic")
        if not pool["servers"]:
            yield _problem("error", f"pool {pool['name']} has no servers")
        out += [each for each in facts if each["state"] in OUT]
    for each in sorted(out, key=lambda each: OUT.index(each["state"]))[:NAMED]:
        level = "warning" if each["state"] in ("down", "ejected") else "note"
        why = f": {each['reason']}" if each["reason"] else ""
        text = f"{each['pool']}/{each['server']} is {each['state']}{why}"
        yield _problem(level, text, each["changed"] or None)
        named += 1
    if len(out) > named:
        yield _problem("warning", f"{count(len(out) - named, 'more server')} out")


def _of_policy(scene: Scene, pool: str) -> Iterator[Tree]:
    told = policy_of(scene, pool)
    if told is None or told["state"] not in ("open", "ended"):
        return
    why = f": {told['trouble']}" if told["trouble"] else ""
    then = "five failures in a row" if told["state"] == "open" else "its life has ended"
    text = f"pool {pool}: {told['fallback']} picks instead of policy {told['policy']}, {then}{why}"
    yield _problem("warning", text)


def policy_of(scene: Scene, pool: str) -> Mapping[str, Any] | None:
    """What the worker tells of a pool's policy: policy, fallback, state, trouble."""
    told = scene.worker.get("policies", ())
    return next((each for each in told if each["pool"] == pool), None)


def _of_machine(scene: Scene) -> Iterator[Tree]:
    pauses = "evener_accept_pauses_total"
    counted = (
        (pauses, 'cause="descriptors"', "accepting paused {} for want of descriptors", "time"),
        (pauses, 'cause="connections"', "accepting paused {} at evener.limits.connections", "time"),
        ("evener_log_lines_lost_total", "", "{} could not be written and are lost", "log line"),
        ("evener_panics_total", "", "{} closed by a fault of Evener's own", "connection"),
    )
    for metric, label, text, noun in counted:
        if number := scene.view.value("worker", (), metric, label):
            growing = bool(scene.view.rate("worker", (), metric, label))
            level = "warning" if growing else "note"
            yield _problem(level, text.format(count(number, noun)))


def _plan(scene: Scene) -> Tree:
    last, failed = scene.last, scene.failed
    return {
        "generation": scene.plan["generation"],
        "since": last.at if last else None,
        "differs_from_file": failed is not None or bool(scene.record.fallen_back),
        "errors": list(failed.errors) if failed else [],
    }


def _worker(scene: Scene) -> Tree:
    keys = ("connections", "in_flight", "parked", "draining", "uptime_ms")
    return {
        **{key: scene.worker.get(key) for key in keys},
        "deaths": scene.record.deaths,
        "last_death": scene.record.last_death,
        "start_ms": round(scene.record.start_ms, 1),
    }


def waiting_at(listener: Mapping[str, Any], queued: Mapping[str, int]) -> int:
    """Connections that wait in the kernel's queues of a listener of the plan."""
    return sum(queued.get(address, 0) for address in listener["bind"])


def _open(scene: Scene, listener: Mapping[str, Any]) -> int:
    names = (listener["name"],)
    return int(scene.view.value("listener", names, "evener_listener_open_connections"))


def _listener(scene: Scene, listener: Mapping[str, Any]) -> Tree:
    view, name = scene.view, listener["name"]
    what = "connections" if listener["protocol"] == "tcp" else "requests"
    metric = f"evener_listener_{what}_total"
    return {
        "name": name,
        "protocol": listener["protocol"] + ("+tls" if listener.get("tls") else ""),
        "bind": [scene.bound.get(address, address) for address in listener["bind"]],
        "connections": _open(scene, listener),
        "limit": listener["connections"],
        "waiting": waiting_at(listener, scene.queued),
        "requests": view.value("listener", (name,), metric),
        "requests_per_second": view.rate("listener", (name,), metric),
        "errors": view.value("listener", (name,), "evener_listener_errors_total"),
    }


def _pool(scene: Scene, pool: Mapping[str, Any]) -> Tree:
    view, name = scene.view, (pool["name"],)
    metric = "evener_pool_response_duration_seconds"
    return {
        "name": pool["name"],
        "scheduler": pool["scheduler"]["name"],
        "requests": view.value("pool", name, "evener_pool_requests_total"),
        "requests_per_second": view.rate("pool", name, "evener_pool_requests_total"),
        "refused": view.value("pool", name, _NO_SERVER),
        "p50_ms": view.quantile_ms("pool", name, metric, 0.5),
        "p99_ms": view.quantile_ms("pool", name, metric, 0.99),
        "policy": _policy(scene, pool["name"]),
        "servers": [server_tree(scene.view, each) for each in _facts_of(scene, pool)],
    }


def _policy(scene: Scene, pool: str) -> Tree | None:
    told = policy_of(scene, pool)
    if told is None:
        return None

    def picks(label: str) -> int:
        return scene.view.value("pool", (pool,), _PICKS, label)

    return {
        **{key: told[key] for key in ("policy", "fallback", "state", "trouble")},
        "picked": picks('by="policy"'),
        "trials": picks('by="trial"'),
        "fallback_picked": {why: number for why in _WHYS if (number := picks(f'why="{why}"'))},
    }


def server_tree(view: View, facts: Mapping[str, Any]) -> Tree:
    """A server's facts with its numbers."""
    names = (facts["pool"], facts["server"], facts["address"])
    answers = view.value("server", names, "evener_server_requests_total")
    metric = "evener_server_response_duration_seconds"
    rates = [
        view.rate("server", names, each)
        for each in ("evener_server_requests_total", "evener_server_sessions_total")
    ]
    return {
        **facts,
        "requests": answers + view.value("server", names, "evener_server_sessions_total"),
        "requests_per_second": _sum(iter(rates)),
        "errors": sum(view.value("server", names, each) for each in _FAILURES),
        "p50_ms": view.quantile_ms("server", names, metric, 0.5),
        "p99_ms": view.quantile_ms("server", names, metric, 0.99),
    }


def _facts_of(scene: Scene, pool: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    keys = [(pool["name"], server["id"]) for server in pool["servers"]]
    return [scene.servers[key] for key in keys if key in scene.servers]


def _sum(rates: Iterator[float | None]) -> float | None:
    known = [rate for rate in rates if rate is not None]
    return sum(known) if known else None
