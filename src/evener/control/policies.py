"""Look at the policies that a configuration names, before a worker is told of them.

Rules kept here:
- In a process of its own, which is ended when it takes too long: a policy is a stranger's text, and
  must not hang, crash or fill the supervisor.
- As the worker will see them: isolated, with the same module path, from `/`.
- What is wrong is a problem of the configuration, at the place that names the policy.
Not known here: what makes a policy a good one.
"""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evener.config import Config, ConfigError
from evener.config.errors import Problem

#: Seconds that all policies together may take to be imported and made.
PATIENCE = 10.0
_BOOT = (
    "import sys,json;sys.path[:]=json.loads(sys.argv[1]);"
    "from evener.policies.probe import main;main(sys.argv[2:])"
)


def versions(config: Config, patience: float = PATIENCE) -> dict[str, str]:
    """Policy → which text of it; empty if the configuration has none.

    Raises:
        ConfigError: one cannot be used; with all that cannot.
    """
    named = {
        name: pool.scheduler.policy
        for name, pool in config.settings.pools.items()
        if pool.scheduler.policy is not None
    }
    if not named:
        return {}
    found = _look(sorted(set(named.values())), patience)
    problems = [
        _problem(config, name, found.get(policy, {}))
        for name, policy in named.items()
        if "version" not in found.get(policy, {})
    ]
    if problems:
        raise ConfigError(problems)
    return {policy: found[policy]["version"] for policy in named.values()}


def _look(policies: list[str], patience: float) -> Mapping[str, Mapping[str, str]]:
    path = [entry for entry in sys.path if Path(entry).is_absolute()]
    command = [sys.executable, "-I", "-c", _BOOT, json.dumps(path), *policies]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            cwd="/",
            timeout=patience,
            check=False,
        )
    except subprocess.TimeoutExpired:
        got = f"a policy that is not made within {patience:g} s"
        hint = "what takes long belongs into a thread of its own"
        return {each: _wrong(got, "one that is", hint) for each in policies}
    try:
        answer: dict[str, dict[str, str]] = json.loads(done.stdout)
    except ValueError:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        got = f"a policy that ended the process that looked at it: {' '.join(last) or 'no word'}"
        return {each: _wrong(got, "one that can be imported") for each in policies}
    return answer


def _wrong(got: str, expected: str, hint: str = "") -> dict[str, str]:
    return {"got": got, "expected": expected, "hint": hint}


def _problem(config: Config, pool: str, wrong: Mapping[str, Any]) -> Problem:
    path = ("pools", pool, "scheduler", "policy")
    told = {**_wrong("nothing", "a policy"), **wrong}
    place = config.place(*path)
    return Problem(place, ".".join(path), told["got"], told["expected"], told["hint"])
