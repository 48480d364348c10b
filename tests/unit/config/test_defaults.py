"""Merging: built-in defaults < `defaults` < the thing itself, as laws and by example."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evener.config import Config
from evener.config.node import from_python, plain
from evener.config.schema import LISTENER, POOL

from .forms import plan

TIMES = st.sampled_from(["1s", "2s", "3s"])
POOLS = st.fixed_dictionaries(
    {},
    optional={
        "timeouts": st.dictionaries(st.sampled_from(["connect", "send"]), TIMES, max_size=2),
        "check": st.one_of(
            st.just("off"),
            st.fixed_dictionaries({"tcp": st.just("")}, optional={"every": TIMES}),
            st.fixed_dictionaries({"http": st.just("/")}, optional={"every": TIMES, "fast": TIMES}),
        ),
        "scheduler": st.sampled_from(
            [{"name": "round_robin"}, {"name": "least_conn"}, {"as": "nginx"}]
        ),
        "passive": st.one_of(st.just("off"), st.fixed_dictionaries({}, optional={"out": TIMES})),
        "retry": st.fixed_dictionaries({"on": st.lists(st.sampled_from(["reset", "junk"]))}),
    },
)


def merged(base: Any, over: Any) -> Any:
    return plain(POOL.merge(from_python(base), from_python(over)))


@given(POOLS)
def test_nothing_over_a_thing_and_a_thing_over_nothing_are_the_thing(thing: Any) -> None:
    assert merged(thing, {}) == thing
    assert merged({}, thing) == thing


@given(POOLS, POOLS)
def test_what_is_merged_twice_is_what_is_merged_once(base: Any, over: Any) -> None:
    once = merged(base, over)
    assert merged(once, over) == once


@given(POOLS, POOLS)
def test_what_the_thing_says_stands(base: Any, over: Any) -> None:
    result = merged(base, over)
    assert {*result} == {*base, *over}
    for name, value in over.items():
        if not isinstance(value, dict):
            assert result[name] == value or isinstance(base.get(name), dict)
        else:
            assert value.items() <= result[name].items()


@given(POOLS, POOLS, POOLS)
def test_order_of_merging_does_not_matter_for_plain_maps(a: Any, b: Any, c: Any) -> None:
    first, second, third = ({"timeouts": each.get("timeouts", {})} for each in (a, b, c))
    assert merged(merged(first, second), third) == merged(first, merged(second, third))


def test_another_kind_replaces_all_and_the_same_kind_merges() -> None:
    base = {"check": {"http": "/a", "every": "9s"}, "scheduler": {"name": "least_conn"}}
    assert merged(base, {"check": "tcp"})["check"] == {"tcp": ""}
    assert merged(base, {"check": {"tcp": "", "fast": "1s"}})["check"] == {"tcp": "", "fast": "1s"}
    assert merged(base, {"check": {"http": "/b"}})["check"] == {"http": "/b", "every": "9s"}
    assert merged(base, {"scheduler": "round_robin"})["scheduler"] == {"name": "round_robin"}


def test_lists_replace() -> None:
    text = """
defaults: {pool: {retry: {on: [reset, junk]}}, listener: {trusted_proxies: [10.0.0.0/8, unix]}}
listeners: {web: {bind: ":80", pool: app, trusted_proxies: 192.0.2.0/24}}
pools: {app: {servers: 10.0.0.1, retry: {on: connect}}}
"""
    made = plan(text)
    assert made["pools"][0]["retry"]["on"] == ["connect"]
    assert made["listeners"][0]["trusted_proxies"] == ["192.0.2.0/24"]


def test_defaults_need_not_be_whole() -> None:
    text = "defaults: {listener: {tls: {min_version: 1.3}}, pool: {check: {every: 5s}}}\n"
    assert Config.parse(text).problems() == ()


def test_off_switches_a_default_off_and_a_mapping_switches_it_on_again() -> None:
    assert merged({"passive": {"out": "9s"}}, {"passive": "off"})["passive"] == "off"
    assert merged({"passive": "off"}, {"passive": {"fails": "2"}})["passive"] == {"fails": "2"}


def test_http_keys_in_defaults_leave_tcp_listeners_alone() -> None:
    text = """
defaults: {listener: {http: {max_fields: 5}, trusted_proxies: unix, timeouts: {idle: 1s}}}
listeners: {db: {bind: ":5432", protocol: tcp, pool: db}}
pools: {db: "10.0.0.1:5432"}
"""
    (made,) = plan(text)["listeners"]
    assert (made["http"]["max_fields"], made["trusted_proxies"]) == (100, [])
    assert made["timeouts"]["idle"] == 75_000
    written = Config.parse(text).resolved()["listeners"]["db"]
    assert set(written["timeouts"]) == {"tls", "tunnel"}


def test_authorities_in_defaults_leave_pools_alone_that_verify_nothing() -> None:
    text = """
defaults: {pool: {tls: {ca: /ca.pem}}}
pools: {app: {servers: h, tls: {verify: off}}, web: h}
"""
    config = Config.parse(text)
    app, web = plan(config)["pools"]
    assert (app["tls"]["ca"], web["tls"]["ca"]) == (None, "ca:/ca.pem")
    assert "ca" not in config.resolved()["pools"]["app"]["tls"]


def test_the_answer_of_a_route_replaces_the_default_answer_and_keeps_its_match() -> None:
    text = """
defaults: {route: {host: a.example, respond: 403}}
listeners: {web: {bind: ":80", routes: [{path: /x, pool: app}, {path: /y}]}}
pools: {app: 10.0.0.1}
"""
    first, second = plan(text)["listeners"][0]["routes"]
    assert (first["match"]["host"], first["answer"]) == (["a.example"], {"pool": "app"})
    assert second["answer"]["respond"]["status"] == 403


def test_short_forms_are_expanded_before_they_merge() -> None:
    listener = LISTENER.merge(
        from_python({"timeouts": {"tunnel": {"max": "9s"}}}),
        from_python({"timeouts": {"tunnel": "5s"}}),
    )
    assert plain(listener) == {"timeouts": {"tunnel": {"max": "9s", "idle": "5s"}}}


@pytest.mark.parametrize("word", ["off", "Off", "OFF", "no", "False"])
def test_off_is_off_in_any_case_wherever_it_may_stand(word: str) -> None:
    text = f"pools: {{app: {{servers: 10.0.0.1, passive: {word}, tls: {{verify: {word}}}}}}}"
    pool = Config.parse(text).settings.pools["app"]
    assert pool.passive is None and pool.tls is not None and not pool.tls.verify
