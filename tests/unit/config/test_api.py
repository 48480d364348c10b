"""Config: one tree from a file, a text or Python; its long form; what it can be asked."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import evener
from evener.compile import Facts, compile
from evener.config import Config, ConfigError
from evener.config.yaml import dump

from .forms import MINIMAL, plan

GOLDEN = Path(__file__).parents[2] / "golden"


def test_the_package_offers_config_and_imports_nothing_before_it_is_asked() -> None:
    assert evener.Config is Config
    with pytest.raises(AttributeError):
        _ = evener.nothing
    look = "import sys, evener; print([name for name in sys.modules if name.startswith('evener.')])"
    seen = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert seen.stdout == "[]\n"


def test_quick_is_the_smallest_file() -> None:
    text = MINIMAL.replace("10.0.0.1:8000", "10.0.0.1:8000")
    assert plan(Config.quick(":8080", ["10.0.0.1:8000"])) == plan(text)


def test_quick_takes_a_port_alone_as_a_server_of_this_machine() -> None:
    (server,) = plan(Config.quick(":8080", [":8000"]))["pools"][0]["servers"]
    assert server["address"] == "127.0.0.1:8000"


def test_quick_takes_one_server_as_it_is() -> None:
    assert Config.quick(":80", "10.0.0.1:80").to_yaml() == (
        Config.quick(":80", ["10.0.0.1:80"]).to_yaml()
    )


def test_python_json_and_yaml_are_the_same_tree() -> None:
    tree = {
        "evener": {"shards": 2},
        "listeners": {
            "web": {
                "bind": [":80"],
                "routes": [{"header": {"x": {"present": True}}, "respond": 404}],
            }
        },
        "pools": {"app": {"servers": ["h"], "check": {"tcp": None, "every": "5s"}}},
    }
    yaml = """
evener: {shards: 2}
listeners: {web: {bind: ":80", routes: [{header: {x: {present: yes}}, respond: 404}]}}
pools: {app: {servers: h, check: {tcp, every: 5s}}}
"""
    python = Config(tree).settings
    assert python == Config.parse(yaml).settings == Config.parse(json.dumps(tree)).settings


def test_what_is_no_tree_is_a_type_error() -> None:
    with pytest.raises(TypeError):
        Config({"pools": {"app": object()}})


def test_a_text_with_nothing_in_it_is_an_error() -> None:
    for text in ("", "# nothing\n"):
        with pytest.raises(ConfigError, match="f:1:1: found nothing, expected a configuration"):
            Config.parse(text, file="f")


def test_what_listens_nowhere_is_not_run() -> None:
    with pytest.raises(ConfigError, match=r"\(Python\): listeners: found no listener"):
        evener.run(Config({"pools": {"app": ["10.0.0.1:80"]}}))


def test_the_summary_counts() -> None:
    text = MINIMAL + "listeners: {}"
    assert Config.parse(MINIMAL).summary() == "1 listener, 1 pool, 1 server"
    assert Config.parse("pools: {a: [x, y], b: [z]}").summary() == (
        "0 listeners, 2 pools, 3 servers"
    )
    assert Config.parse(text).problems()


def test_anchors_and_aliases_work() -> None:
    text = "pools: {a: &a {servers: [10.0.0.1], initial: down}, b: *a}"
    settings = Config.parse(text).settings
    assert settings.pools["a"] == settings.pools["b"]


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_long_form_read_again_gives_the_same_plan(path: Path) -> None:
    config = Config.load(path, env={"PORT": "1"})
    long = Config.parse(config.to_yaml(resolved=True), env={})
    assert long.settings.listeners == config.settings.listeners
    assert long.settings.pools == config.settings.pools
    facts = Facts()
    assert compile(long, resolve={}, facts=facts).plan == (
        compile(config, resolve={}, facts=facts).plan
    )


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_tree_as_it_was_written_reads_back_too(path: Path) -> None:
    config = Config.load(path, env={"PORT": "1"})
    assert Config.parse(config.to_yaml(), env={"PORT": "1"}).settings == config.settings


def test_references_to_the_environment_stay_references_in_what_is_written() -> None:
    text = "pools: {app: ['${HOST}:80', '$${x']}"
    config = Config.parse(text, env={"HOST": "h"})
    assert config.to_yaml() == 'pools:\n  app:\n    - "${HOST}:80"\n    - "$${x"\n'


NAMES = st.from_regex(r"[a-z0-9][a-z0-9_.-]{0,10}", fullmatch=True)
SERVERS = st.lists(
    st.fixed_dictionaries(
        {"address": st.from_regex(r"10\.[1-9]\.[1-9]\.[1-9]:[1-9][0-9]{3}", fullmatch=True)},
        optional={"weight": st.integers(0, 65535), "tier": st.integers(0, 9)},
    ),
    max_size=4,
    unique_by=lambda server: server["address"],
)
BODIES = st.fixed_dictionaries({}, optional={"body": st.text(max_size=20)})


@given(
    st.dictionaries(NAMES, SERVERS, max_size=3),
    st.lists(
        st.fixed_dictionaries(
            {"respond": BODIES},
            optional={
                "path": st.from_regex(r"/[a-z%~é]{0,3}(/|/\*)?", fullmatch=True),
                "header": st.dictionaries(
                    st.from_regex(r"[a-z]{1,5}", fullmatch=True),
                    st.one_of(
                        st.text(min_size=1, max_size=5),
                        st.fixed_dictionaries({"prefix": st.text(min_size=1, max_size=5)}),
                        st.fixed_dictionaries({"present": st.booleans()}),
                    ),
                    min_size=1,
                    max_size=2,
                ),
            },
        ),
        max_size=3,
    ),
)
def test_any_tree_that_is_right_round_trips_through_its_long_form(pools: Any, routes: Any) -> None:
    config = Config(
        {"listeners": {"web": {"bind": ":80", "routes": routes}}, "pools": pools}, env={}
    )
    if config.problems():
        return
    text = config.to_yaml(resolved=True)
    assert Config.parse(text, env={}).settings == config.settings
    assert Config.parse(config.to_yaml(), env={}).settings == config.settings


TREES = st.recursive(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text("abc: #-é\n", min_size=1, max_size=5), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.text("abc", min_size=1, max_size=3), TREES, max_size=3))
def test_any_tree_of_texts_is_read_back_from_its_yaml(tree: Any) -> None:
    from evener.config.node import plain
    from evener.config.report import Report
    from evener.config.text import parse

    node = parse(dump(tree), "f", {}, Report())
    assert _texts(plain(node)) == _texts(tree)


def _texts(value: Any) -> Any:
    """The tree without `$`, which the environment would read."""
    if isinstance(value, dict):
        return {name: _texts(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_texts(item) for item in value]
    return value.replace("$", "")
