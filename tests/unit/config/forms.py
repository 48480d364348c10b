"""What tests of the configuration share: texts to problems, and to the plan."""

from __future__ import annotations

from typing import Any

from evener.compile import Facts, compile
from evener.config import Config, Problem

MINIMAL = """\
listeners: {web: {bind: ":8080", pool: app}}
pools: {app: ["10.0.0.1:8000"]}
"""


def problem(text: str, **env: str) -> Problem:
    """The one problem of a text."""
    found = Config.parse(text, file="f", env=env).problems()
    assert len(found) == 1, found
    return found[0]


def plan(config: Config | str, **env: str) -> dict[str, Any]:
    """The plan of a configuration or of its text."""
    made = Config.parse(config, env=env) if isinstance(config, str) else config
    return compile(made, resolve={}, facts=Facts()).plan


def listener(keys: str) -> dict[str, Any]:
    """The listener of a plan, from its keys in flow style."""
    text = f'listeners: {{web: {{bind: ":80", pool: app, {keys}}}}}\npools: {{app: 10.0.0.1}}\n'
    found: dict[str, Any] = plan(text)["listeners"][0]
    return found


def pool(keys: str) -> dict[str, Any]:
    """The pool of a plan, from its keys in flow style."""
    found: dict[str, Any] = plan(f"pools: {{app: {{servers: 10.0.0.1, {keys}}}}}\n")["pools"][0]
    return found


def route(keys: str) -> dict[str, Any]:
    """The route of a plan, from its keys in flow style."""
    found: dict[str, Any] = listener(f"routes: [{{{keys}}}]")["routes"][0]
    return found
