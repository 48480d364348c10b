"""The plan that is served: what was compiled, and what came of the last reload.

Rules kept here:
- Immutable facts: a reload makes new ones, nothing is changed in place.
Not known here: who serves it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from evener.compile import Compiled, Secret, Settings
from evener.control.certificates import SYSTEM, system_authorities
from evener.control.doors import doors
from evener.control.errors import ConfigRefusedError, LinesError
from evener.control.source import Loaded, Plan
from evener.control.validity import ends


@dataclass(frozen=True)
class Serving:
    """A configuration that is served, or about to be.

    Attributes:
        loaded: The configuration as it was read.
        compiled: What it compiled to, without people's words.
        secrets: The PEM texts it needs.
        generation: Its number.
        since: Milliseconds since 1970 when it was sent.
    """

    loaded: Loaded
    compiled: Compiled
    secrets: Mapping[str, str]
    generation: int
    since: int

    @cached_property
    def certificates(self) -> dict[str, float]:
        """The files of our own certificates, each with when it ends, in seconds since 1970."""
        found = {
            secret.files[0]: ends(self.secrets[name])
            for name, secret in self.compiled.secrets.items()
            if secret.key
        }
        return {file: end for file, end in sorted(found.items()) if end is not None}


@dataclass(frozen=True)
class Reload:
    """What came of a reload, a re-resolution or a return to the previous plan.

    Attributes:
        at: Milliseconds since 1970.
        cause: Why it was tried: `start`, `reload`, `names` or `deaths`.
        answer: The worker's answer: generation, build_ms, pause_ms, kept, added, removed; of a
            reload also `opened` and `closed`, the addresses that are listened on now and no more.
        errors: Why it failed; empty when it did not.
    """

    at: int
    cause: str
    answer: Mapping[str, Any]
    errors: tuple[str, ...] = ()


def wanted_secrets(compiled: Compiled) -> dict[str, Secret]:
    """The secrets a plan needs, with the system's authorities where a pool relies on them."""
    wanted = dict(compiled.secrets)
    tls = [pool["tls"] for pool in compiled.plan["pools"] if pool["tls"]]
    if SYSTEM not in wanted and any(each["verify"] and each["ca"] is None for each in tls):
        wanted[SYSTEM] = system_authorities()
    return wanted


def refuse_fixed(old: Settings, new: Settings, loaded: Loaded, admin: Path) -> None:
    """Refuses what a running instance cannot change.

    Args:
        old: What it runs with.
        new: What it is to run with.
        loaded: Where that was read.
        admin: The admin socket of an instance whose file names none.

    Raises:
        ConfigRefusedError: naming each such key, and where it is written.
    """
    keys = (
        ("run", old.run, new.run),
        ("shards", old.shards, new.shards),
        ("admin.bind", *(f"unix:{each.admin or admin}" for each in (old, new))),
    )
    changed = []
    for key, was, will in keys:
        if was != will:
            place = loaded.place("evener", *key.split("."))
            changed.append(
                f"{place}{': ' if place else ''}evener.{key}: "
                f"{was or 'auto'} cannot become {will or 'auto'} while running"
            )
    if changed:
        raise ConfigRefusedError(changed, "stop and start the instance for that")


def reachable(plan: Plan, open_addresses: Mapping[str, str]) -> Plan:
    """The plan without addresses that this machine does not have (`:80` without IPv6)."""
    listeners = [
        {**listener, "bind": [one for one in listener["bind"] if one in open_addresses]}
        for listener in plan["listeners"]
    ]
    return {**plan, "listeners": listeners}


def lines_of(error: Exception) -> tuple[str, ...]:
    """What an error says, a line for each thing that is wrong."""
    lines = error.lines if isinstance(error, LinesError) else (str(error),)
    remedy = getattr(error, "remedy", "")
    return (*lines, remedy) if remedy else tuple(lines)


def told(reload: Reload) -> str:
    """One line, or one per error, on what came of a reload."""
    if reload.errors:
        return "\n  ".join((f"{reload.cause} failed, the old plan serves on:", *reload.errors))
    answer = reload.answer
    return (
        f"{reload.cause}: plan {answer.get('generation')} serves; servers: "
        f"{answer.get('kept', 0)} kept, {answer.get('added', 0)} added, "
        f"{answer.get('removed', 0)} removed{doors(answer)}"
    )
