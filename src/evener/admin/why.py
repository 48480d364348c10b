"""Say in sentences why a server is as it is, and what would change it.

Rules kept here:
- Pure: the worker's facts, the plan and `now` come in, sentences go out.
- Every state has a sentence on what brings the server back, or keeps it.
Not known here: how a state is decided (the worker does), how a command is asked.
"""

from collections.abc import Mapping
from typing import Any

from evener.admin.plain import ago, clock, count, span
from evener.config.schema.scheduler import rule_of
from evener.config.templates import KeyWords
from evener.control.hints import hint
from evener.control.supervisor import Warned

Facts = dict[str, Any]
Plan = dict[str, Any]


def why(
    facts: Facts,
    pool: Plan,
    now: int,
    warned: Warned | None = None,
    policy: Mapping[str, Any] | None = None,
) -> list[str]:
    """The sentences about a server.

    Args:
        facts: What the worker knows of it.
        pool: Its pool in the plan.
        now: Milliseconds since 1970.
        warned: The last warning about it, if there was one.
        policy: What the worker tells of its pool's policy, if its scheduler is one.
    """
    name = f"{facts['pool']}/{facts['server']}"
    since = f" since {clock(facts['changed'])} ({ago(facts['changed'], now)})"
    lines = [f"{name} is {facts['state']}{since if facts['changed'] else ''}."]
    if facts["reason"]:
        lines.append(f"Reason: {facts['reason']}.")
    lines.append(_last_check(facts, pool, now))
    if warned is not None:
        lines.append(f"Last warning: {ago(warned.at, now)}: {warned.text}.")
    if todo := _hint(facts, warned):
        lines.append(f"What to do: {todo}.")
    if facts["in_flight"]:
        lines.append(f"It has {count(facts['in_flight'], 'request')} in hand.")
    if facts["state"] == "up" and facts["weight"]:
        lines.append(_picked(pool))
        if policy is not None:
            lines.append(_policy(policy, pool["scheduler"]["timeout"]))
    lines.append(_outlook(facts, pool, now))
    return lines


def weighed_by_hand(said: str | int, file: str | int) -> str:
    """A sentence about a weight that is not the file's."""
    return f"Its weight {said} is a person's word, until the file says something else than {file}."


def _last_check(facts: Facts, pool: Plan, now: int) -> str:
    check = facts["check"]
    if check is None:
        return "It has not been checked." if pool["checks"] else "Its pool has no active check."
    result = "passed" if check["ok"] else "failed"
    saw = f": {check['text']}" if check["text"] else ""
    return f"Last check: {ago(check['at'], now)}, took {span(check['took_ms'])}, {result}{saw}."


def _hint(facts: Facts, warned: Warned | None) -> str:
    check = facts["check"]
    seen = (facts["reason"], check["text"] if check else "", warned.text if warned else "")
    return next(filter(None, map(hint, seen)), "")


def _outlook(facts: Facts, pool: Plan, now: int) -> str:
    name = f"{facts['pool']}/{facts['server']}"
    match facts["state"]:
        case "draining" | "maintenance":
            finish = "What it has in hand goes on. " if facts["state"] == "draining" else ""
            return f"{finish}`evener server ready {name}` brings it back."
        case "ejected":
            return _after_ejection(facts, pool, now)
        case "down":
            return _after_checks(pool)
        case "starting":
            return _starting(pool)
        case _:
            return _takes(facts, pool)


def _after_ejection(facts: Facts, pool: Plan, now: int) -> str:
    passive = pool["passive"]
    left = facts["ejected_until"] - now
    when = f"In {span(left)}" if left > 0 else "Now that its time is over"
    if passive is not None and passive["readmit"] == "tcp":
        return f"{when} it is checked by a TCP connection; one that is accepted brings it back."
    return f"{when} a live request tries it; a good answer brings it back."


def _after_checks(pool: Plan) -> str:
    if not pool["checks"]:
        return "A TCP connection that is accepted brings it back."
    check = pool["checks"][0]
    every = check["down"] or check["every"]
    passes = f"{check['rise']} passes in a row bring" if check["rise"] > 1 else "One pass brings"
    of = " of each check" if len(pool["checks"]) > 1 else ""
    return f"{passes} it back{of}; it is checked every {span(every)}."


def _starting(pool: Plan) -> str:
    if pool["checks"]:
        return "The first check that passes lets it take traffic."
    return "It takes traffic as soon as it is known to the shards."


def _picked(pool: Plan) -> str:
    shown = pool["scheduler"]["name"]
    said = f"Its scheduler {shown} picks by: {rule_of(shown)}"
    if pool["key"] is None:
        return f"{said}."
    log = "the access log has each request's as `evener.key`"
    return f"{said}; the key is {KeyWords().write(pool['key'])}, {log}."


def _policy(policy: Mapping[str, Any], timeout: int) -> str:
    name, fallback = policy["policy"], policy["fallback"]
    then = f"else {fallback} picks; the access log has who picked as `evener.picked_by`."
    trouble = f" Its last trouble: {policy['trouble']}." if policy["trouble"] else ""
    match policy["state"]:
        case "asked":
            return f"Policy {name} has {span(timeout)} to answer, {then}{trouble}"
        case "loading":
            return f"Policy {name} is being loaded; until then {fallback} picks."
        case "open":
            how = "it failed five times in a row and is tried again every 5 s"
            return f"Just now {fallback} picks instead of policy {name}: {how}.{trouble}"
        case _:
            return f"{fallback} picks: policy {name} has ended.{trouble} A reload begins it anew."


def _takes(facts: Facts, pool: Plan) -> str:
    if facts["weight"] == 0:
        return "Its weight is 0: it takes nothing new."
    peers = [server for server in pool["servers"] if server["tier"] == facts["tier"]]
    total = sum(server["weight"] for server in peers) or 1
    share = 100 * facts["weight"] / total
    whole = f"It takes traffic: weight {facts['weight']}, {share:.0f} % of its tier when all are up"
    if any(server["tier"] < facts["tier"] for server in pool["servers"]):
        standby = f"It is of tier {facts['tier']}: it serves when no server of a lower one is up."
        return f"{whole}. {standby}"
    return f"{whole}."
