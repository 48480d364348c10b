"""`${NAME}`: what is replaced, what is itself, what is an error."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evener.config import Config
from evener.config.environment import UnknownVariableError, escape, expand

ENV = {"A": "1", "EMPTY": ""}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${A}", "1"),
        ("x${A}y${A}", "x1y1"),
        ("${B:-2}", "2"),
        ("${EMPTY:-2}", "2"),
        ("${EMPTY}", ""),
        ("${B:-}", ""),
        ("$${A}", "${A}"),
        ("$$${A}", "$${A}"),
        ("$A $ $$", "$A $ $$"),
    ],
)
def test_references_are_replaced(text: str, value: str) -> None:
    assert expand(text, ENV) == value


@pytest.mark.parametrize("text", ["${B}", "${", "${}", "${1}", "${A", "${A-1}", "${A:-${B}}"])
def test_what_is_no_reference_or_not_set_is_an_error(text: str) -> None:
    with pytest.raises(UnknownVariableError):
        expand(text, ENV)


def test_a_variable_that_is_no_text_is_an_error_where_it_is_read() -> None:
    text = 'listeners: {web: {bind: ":80", routes: [{path: {regex: "${B}"}, respond: 200}]}}'
    (problem,) = Config.parse(text, file="f", env={"B": "\udcff"}).problems()
    assert str(problem) == (
        "f:1:56: listeners.web.routes[0].path.regex: found `${B}`, "
        "expected the environment variable B to be UTF-8 text"
    )


@given(st.text("${}A:-x", max_size=20))
def test_an_escaped_text_expands_to_itself(text: str) -> None:
    assert expand(escape(text), ENV) == text


def test_values_read_the_environment_and_keys_do_not() -> None:
    text = "pools: {app: [{address: '${HOST}', weight: '${WEIGHT:-3}'}]}"
    (server,) = Config.parse(text, env={"HOST": "h"}).settings.pools["app"].servers
    assert (server.address.host, server.weight) == ("h", 3)
    assert Config.parse("pools: {'${HOST}': h}", env={"HOST": "h"}).problems()


def test_a_reference_that_comes_out_empty_is_an_empty_value() -> None:
    (problem,) = Config.parse(
        "pools: {app: {servers: h, initial: '${E}'}}", env={"E": ""}
    ).problems()
    assert problem.got == "an empty value"


def test_a_tree_built_in_python_reads_the_environment_too() -> None:
    config = Config({"pools": {"app": ["${HOST}:80"]}}, env={"HOST": "10.0.0.1"})
    assert config.settings.pools["app"].servers[0].address.host == "10.0.0.1"


def test_the_long_form_keeps_a_brace_that_was_written_with_two_dollars() -> None:
    text = "listeners: {web: {bind: ':80', routes: [{respond: {body: '$${A} $5'}}]}}"
    config = Config.parse(text, env={})
    again = Config(config.resolved(), env={})
    respond = again.settings.listeners["web"].routes[0].respond
    assert respond is not None
    assert respond.body == "${A} $5"
    assert again.settings == config.settings
