"""What compile makes of names, addresses and the machine it is for."""

from __future__ import annotations

from typing import Any

import pytest

from evener.compile import Compiled, Facts, compile, names
from evener.config import Config, ConfigError


def compiled(text: str, facts: Facts | None = None) -> Compiled:
    return compile(Config.parse(text, file="f", env={}), resolve={}, facts=facts or Facts())


def servers(text: str, **resolve: list[str]) -> list[tuple[Any, ...]]:
    compiled = compile(Config.parse(text, env={}), resolve=resolve, facts=Facts())
    made = compiled.plan["pools"][0]["servers"]
    return [(server["id"], server["address"], server["host"]) for server in made]


def test_each_address_of_a_name_is_a_server_named_after_both() -> None:
    assert servers("pools: {app: [web]}", web=["10.0.0.1", "2001:DB8:0::1"]) == [
        ("web@10.0.0.1:80", "10.0.0.1:80", "web"),
        ("web@[2001:db8::1]:80", "[2001:db8::1]:80", "web"),
    ]


def test_an_id_takes_the_place_of_the_name() -> None:
    text = "pools: {app: {servers: {address: 'web:81', id: one}}}"
    assert servers(text, web=["10.0.0.1"]) == [("one@10.0.0.1:81", "10.0.0.1:81", "web")]


def test_localhost_is_127_0_0_1_whatever_the_resolver_says() -> None:
    text = "pools: {app: ['localhost:81']}"
    assert servers(text, localhost=["10.0.0.9"]) == [
        ("localhost@127.0.0.1:81", "127.0.0.1:81", "localhost")
    ]


def test_a_port_alone_is_this_machine() -> None:
    assert servers("pools: {app: [':81']}") == [("127.0.0.1:81", "127.0.0.1:81", "127.0.0.1")]


def test_a_port_left_out_is_80_or_443_with_tls() -> None:
    assert servers("pools: {app: [10.0.0.1]}")[0][1] == "10.0.0.1:80"
    assert servers("pools: {app: {protocol: https, servers: 10.0.0.1}}")[0][1] == "10.0.0.1:443"
    assert servers("pools: {app: {tls: {}, servers: 10.0.0.1}}")[0][1] == "10.0.0.1:443"


def test_a_name_that_does_not_resolve_is_a_warning_and_no_server() -> None:
    made = compiled("pools: {app: [web, 10.0.0.1]}")
    assert [server["id"] for server in made.plan["pools"][0]["servers"]] == ["10.0.0.1:80"]
    assert made.warnings == (
        "pools.app.servers[0]: `web` does not resolve, so it has no server yet",
    )


def test_names_are_asked_for_once_and_localhost_never() -> None:
    config = Config.parse("pools: {a: [web, 'web:81', 'localhost:1', 10.0.0.1, 'unix:/s', b]}")
    assert names(config) == ("web", "b")


def test_addresses_that_a_name_has_twice_are_one_server() -> None:
    assert len(servers("pools: {app: [web]}", web=["10.0.0.1", "10.0.0.1"])) == 1


def test_a_port_of_all_addresses_is_two_sockets_or_one_without_ipv6() -> None:
    text = "listeners: {web: {bind: ':80', redirect: https}}"
    both = compiled(text)
    assert [(each.address, each.optional) for each in both.binds] == [
        ("0.0.0.0:80", False),
        ("[::]:80", True),
    ]
    alone = compiled(text, Facts(ipv6=False))
    assert alone.plan["listeners"][0]["bind"] == ["0.0.0.0:80"]


def test_an_address_listened_on_twice_is_an_error_that_names_both_places() -> None:
    text = (
        "listeners:\n"
        "  a: {bind: ':80', redirect: https}\n"
        "  b: {bind: ['127.0.0.1:81', '0.0.0.0:80'], redirect: https}\n"
    )
    with pytest.raises(ConfigError) as caught:
        compiled(text)
    assert str(caught.value) == (
        "f:3:30: listeners.b.bind[1]: found `0.0.0.0:80` beside `:80`, expected each address "
        "once (it is listened on first at f:2:13, listeners.a.bind[0])"
    )


def test_connections_are_85_percent_of_the_descriptors_unless_written() -> None:
    assert compiled("{}", Facts(descriptors=1000)).plan["connections"] == 850
    assert compiled("evener: {limits: {connections: 7}}").plan["connections"] == 7


def test_route_names_tell_the_match_and_are_unique() -> None:
    text = """
listeners:
  web:
    bind: ":80"
    routes:
      - {host: a.example, path: /x/*, method: [GET, HEAD], respond: 200}
      - {host: a.example, path: /x/*, method: [GET, PUT], respond: 201}
      - {header: {x-a: {present: off}, x-b: {prefix: c}}, respond: 200}
      - {not: {path: /y/}, respond: 200}
      - {respond: 404}
"""
    routes = compiled(text).plan["listeners"][0]["routes"]
    assert [route["name"] for route in routes] == [
        "GET+1 a.example/x/*",
        "GET+1 a.example/x/*#2",
        "x-a:absent x-b:c*",
        "not(/y/*)",
        "*",
    ]


def test_long_route_names_stay_unique_when_cut() -> None:
    path = "/" + "x" * 200
    rules = f"[{{path: {path}a, respond: 200}}, {{path: {path}b, respond: 200}}]"
    routes = compiled(f"listeners: {{web: {{bind: ':80', routes: {rules}}}}}").plan["listeners"]
    first, second = (route["name"] for route in routes[0]["routes"])
    assert first != second
    assert len(first) == 120


def test_the_same_certificate_is_one_secret_however_often_it_is_used() -> None:
    text = """
listeners:
  a: {bind: ":443", pool: app, tls: {certificates: [{cert: /c, key: /k}, /d]}}
  b: {bind: ":444", pool: app, tls: {certificates: {cert: /c, key: /k}}}
pools: {app: 10.0.0.1}
"""
    made = compiled(text)
    ids = [listener["tls"]["certificates"] for listener in made.plan["listeners"]]
    assert ids == [["key:/c|/k", "key:/d"], ["key:/c|/k"]]
    assert {name: secret.files for name, secret in made.secrets.items()} == {
        "key:/c|/k": ("/c", "/k"),
        "key:/d": ("/d",),
    }
    assert made.secrets["key:/c|/k"].where == "listeners.a.tls.certificates[0]"


def test_settings_are_none_where_the_supervisor_decides() -> None:
    settings = compiled("evener: {log: {access: off}}").settings
    assert (settings.run, settings.state, settings.shards, settings.admin) == (None,) * 4
    assert (settings.metrics, settings.access_to) == (None, None)


def test_a_fastcgi_pool_that_names_no_script_is_warned_of() -> None:
    made = compiled("pools: {php: {protocol: fastcgi, servers: unix:/p}}")
    assert made.warnings == (
        "pools.php: php-fpm runs nothing without params.DOCUMENT_ROOT or params.SCRIPT_FILENAME",
    )


@pytest.mark.parametrize(
    "keys",
    [
        "params: {DOCUMENT_ROOT: /w}, servers: unix:/p",
        "params: {SCRIPT_FILENAME: /w/i.php}, servers: unix:/p",
        "servers: {address: unix:/p, params: {DOCUMENT_ROOT: /w}}",
    ],
)
def test_a_fastcgi_pool_whose_every_server_knows_its_script_is_not_warned_of(keys: str) -> None:
    assert compiled(f"pools: {{php: {{protocol: fastcgi, {keys}}}}}").warnings == ()


def test_a_listener_that_leads_nowhere_and_a_pool_without_servers_are_warned_of() -> None:
    made = compiled("listeners: {web: {bind: ':80'}}\npools: {app: {servers: []}}")
    assert made.warnings == (
        "listeners.web: without pool, routes or redirect it answers 404",
        "pools.app: no listener and no route uses it",
        "pools.app: it has no servers",
    )


def test_a_pool_is_used_by_what_answers_and_by_what_depends_on_it() -> None:
    text = """
listeners:
  web: {bind: ":80", pool: a, routes: [{path: /b, pool: b}, {path: /c, respond: {needs: c}}]}
pools: {a: h, b: h, c: h, d: h}
"""
    unresolved = "does not resolve"
    said = [each for each in compiled(text).warnings if unresolved not in each]
    assert said == ["pools.d: no listener and no route uses it"]


@pytest.mark.parametrize(
    ("routes", "never"),
    [
        ("{pool: app}, {path: /x, pool: app}", 0),
        ("{path: /, pool: app}, {path: /x, pool: app}", 0),
        ("{path: /*, pool: app}, {host: a, pool: app}", 0),
        ("{path: /x, pool: app}, {path: /x, respond: 404}", 0),
        ("{path: /x, pool: app}, {path: /y, pool: app}", None),
        ("{path: /, method: GET, pool: app}, {path: /y, pool: app}", None),
        ("{not: {path: /x}, pool: app}, {path: /y, pool: app}", None),
    ],
)
def test_a_route_that_no_request_gets_to_is_warned_of(routes: str, never: int | None) -> None:
    made = compiled(
        f"listeners: {{web: {{bind: ':80', routes: [{routes}]}}}}\npools: {{app: 10.0.0.1}}"
    )
    words = "no request gets to it: routes[0] takes all that it would match"
    assert made.warnings == (() if never is None else (f"listeners.web.routes[1]: {words}",))


@pytest.mark.parametrize(("servers", "warned"), [("10.0.0.1, 10.0.0.2", True), ("web", False)])
def test_a_condition_that_cannot_come_true_is_warned_of(servers: str, warned: bool) -> None:
    made = compiled(
        "listeners: {web: {bind: ':80', routes: [{respond: {needs: {pool: app, up: 5}}}]}}\n"
        f"pools: {{app: [{servers}]}}"
    )
    words = "5 can never be up: `app` has 2 servers"
    found = [each for each in made.warnings if "resolve" not in each]
    assert found == ([f"listeners.web.routes[0].respond.needs.up: {words}"] if warned else [])


def test_a_wrong_configuration_does_not_compile() -> None:
    with pytest.raises(ConfigError):
        compiled("pools: {app: ['http://x']}")
