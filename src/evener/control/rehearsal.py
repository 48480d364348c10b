"""What a reload of a configuration would be told, without one: `evener check`.

Rules kept here:
- Each part is judged by the code that a start and a reload run; the plan by the engine's.
- Problems come at once, as far as one does not hide another: what cannot be read is not compiled.
- Names are not resolved and ports are not tried: both change by themselves.
Not known here: who serves.
"""

import re

from evener import dataplane
from evener.compile import Compiled, compile
from evener.config import Config, ConfigError, Problem
from evener.control.certificates import try_secrets
from evener.control.serving import wanted_secrets
from evener.control.source import LoadedConfig, facts, shards_of
from evener.control.surroundings import missing

#: How the engine begins what it says of a listener or a pool (`Running::build`).
_OF_A_THING = re.compile(r"(listener|pool) ([^:]+): (.*)", re.DOTALL)


def rehearse(config: Config) -> Compiled:
    """The plan that would be served, but for the servers that names resolve to.

    Raises:
        ConfigError: something is wrong; it has all problems.
    """
    config.check()
    problems = missing(config)
    policies: dict[str, str] = {}
    try:
        policies = LoadedConfig(config).policies
    except ConfigError as error:
        problems += error.problems
    compiled = compile(config, resolve={}, facts=facts()._replace(policies=policies))
    secrets, wrong = try_secrets(wanted_secrets(compiled))
    problems += wrong
    if not problems:
        shards = shards_of(compiled.settings.shards)
        said = dataplane.plan_refusals(compiled.plan, secrets, shards)
        problems = [_refused(config, words) for words in said]
    if problems:
        raise ConfigError(problems)
    return compiled


def _refused(config: Config, words: str) -> Problem:
    match = _OF_A_THING.fullmatch(words)
    path = (f"{match[1]}s", match[2]) if match else ()
    why = match[3] if match else words
    expected = "what the engine can serve"
    return Problem(config.place(*path), ".".join(path), f"what it refuses: {why}", expected)
