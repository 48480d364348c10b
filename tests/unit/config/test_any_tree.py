"""Whatever is written, the answer is settings or problems, never anything else.

Trees are made of the language's own keys and of words that mean something somewhere, so that they
reach far into the schema.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from evener.compile import Facts, compile
from evener.config import Config, ConfigError
from evener.config.explain import entries

KEYS = sorted({part for entry in entries() for part in entry.path.replace("[]", "").split(".")})
WORDS = ["", "off", "on", "tcp", "http", "auto", "5s", "1KiB", "10%", "200", "1.2", "/x/*", "a.b"]
WORDS += ["10.0.0.1:80", ":80", "unix:/s", "app", "{host}", "${A}", "${B:-c}", "*", "GET", "none"]
LEAF = st.sampled_from(WORDS) | st.integers(0, 9) | st.booleans() | st.none()
TREES = st.recursive(
    LEAF,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5)
    ),
    max_leaves=20,
)
SHAPED = st.fixed_dictionaries(
    {},
    optional={
        "evener": TREES,
        "defaults": st.fixed_dictionaries({}, optional=dict.fromkeys(["pool", "route"], TREES)),
        "listeners": st.dictionaries(st.sampled_from(["app", "b"]), TREES, max_size=2),
        "pools": st.dictionaries(st.sampled_from(["app", "b"]), TREES, max_size=2),
        "include": TREES,
    },
)


def settle(config: Config) -> None:
    """Asks for all there is, and checks that problems are told as promised."""
    problems = config.problems()
    for each in problems:
        assert each.got
        assert each.expected
    if problems:
        return
    try:
        compiled = compile(config, resolve={}, facts=Facts())
    except ConfigError as error:
        assert error.problems
        return
    long = Config.parse(config.to_yaml(resolved=True), env={})
    assert compile(long, resolve={}, facts=Facts()).plan == compiled.plan


@settings(max_examples=300, deadline=None)
@given(SHAPED)
def test_any_tree_has_settings_or_problems(tree: Any) -> None:
    settle(Config(tree, env={"A": "1"}))


@settings(max_examples=200, deadline=None)
@given(st.text(st.sampled_from("abc: \n-[]{},\"'#&*!|>%@`$?~\t0é"), max_size=40))
def test_any_text_has_settings_or_problems(text: str) -> None:
    try:
        config = Config.parse(text, env={})
    except ConfigError as error:
        assert error.problems[0].place.line >= 1
        return
    settle(config)
