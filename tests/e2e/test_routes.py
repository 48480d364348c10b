"""Routes choose by host, path, method and header; answers of our own need no server."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from .rig.instance import Evener
from .rig.origin import Origin
from .rig.wire import Wire, get

ROUTES = """
  web:
    bind: '{listen}'
    routes:
      - {{host: [api.example, '*.api.example'], pool: api}}
      - {{path: /exact, respond: {{body: exact}}}}
      - {{path: /tree/*, respond: {{body: tree}}}}
      - {{path: /below/, respond: {{body: below}}}}
      - {{path: {{exact: /slash/}}, respond: {{body: slash}}}}
      - {{path: {{regex: '^/r[0-9]+$'}}, respond: {{body: regex}}}}
      - {{path: {{glob: '/g/**/*.php'}}, respond: {{body: glob}}}}
      - {{path: /caf%C3%A9, respond: {{body: accent}}}}
      - {{method: [PUT, DELETE], respond: {{status: 403, body: no writing}}}}
      - {{header: {{x-user: [alice, bob]}}, respond: {{body: user}}}}
      - {{header: {{x-v: {{prefix: v1}}}}, respond: {{body: prefix}}}}
      - {{header: {{x-p: {{present: on}}}}, respond: {{body: present}}}}
      - {{header: {{x-r: {{regex: '^a+$'}}}}, respond: {{body: header regex}}}}
      - {{match: {{path: /n/*, not: {{path: /n/secret/*}}}}, respond: {{body: not}}}}
      - {{path: /teapot, respond: {{status: 418, body: '{{"short": 1}}', type: application/json}}}}
      - {{path: /empty, respond: 204}}
      - {{path: /old/*, redirect: {{to: 'https://{{host}}{{uri}}', status: 308}}}}
      - {{path: /moved, redirect: 'http://new.example/'}}
      - {{path: /health, respond: {{body: fine, needs: {{pool: api, up: 2}}}}}}
"""


@pytest.fixture
def routed(evener: Evener, origins: Callable[..., Origin]) -> tuple[Evener, list[Origin]]:
    servers = [origins(name="api"), origins(name="api")]
    pools = ", ".join(f"'{each.address}'" for each in servers)
    check = "check: {tcp, every: 100ms, fall: 1, rise: 1}"
    evener.start(
        "listeners:"
        + ROUTES.format(listen=evener.listen)
        + f"pools: {{api: {{servers: [{pools}], {check}}}}}\n"
    )
    return evener, servers


CASES = [
    ("/exact", [], "exact"),
    ("/exact?q", [], "exact"),
    ("/%65xact", [], "exact"),
    ("//exact", [], "exact"),
    ("/exact/", [], 404),
    ("/tree", [], "tree"),
    ("/tree/a/b", [], "tree"),
    ("/treetop", [], 404),
    ("/below/a", [], "below"),
    ("/below", [], 404),
    ("/slash/", [], "slash"),
    ("/slash", [], 404),
    ("/r42", [], "regex"),
    ("/r4x", [], 404),
    ("/g/a/b.php", [], "glob"),
    ("/g/a/b.txt", [], 404),
    ("/caf%c3%a9", [], "accent"),
    ("/x", ["x-user: alice"], "user"),
    ("/x", ["X-User: bob"], "user"),
    ("/x", ["x-user: eve"], 404),
    ("/x", ["x-v: v1.2"], "prefix"),
    ("/x", ["x-p: anything"], "present"),
    ("/x", ["x-r: aaa"], "header regex"),
    ("/x", ["x-r: aab"], 404),
    ("/n/open", [], "not"),
    ("/n/secret/x", [], 404),
    ("/x", [], 404),
]


@pytest.mark.leaf(
    "listeners.NAME.routes[].match.path",
    "listeners.NAME.routes[].match.method",
    "listeners.NAME.routes[].match.header",
    "listeners.NAME.routes[].match.not",
)
def test_the_first_matching_route_wins(routed: tuple[Evener, list[Origin]]) -> None:
    evener, _ = routed
    with Wire(evener.listen) as wire:
        for target, fields, expected in CASES:
            answer = wire.ask(target, *fields)
            if isinstance(expected, int):
                assert answer.status == expected, (target, fields, answer)
            else:
                assert (answer.status, answer.body.decode()) == (200, expected), (target, fields)
        assert wire.ask("/x", method="DELETE").status == 403
        assert wire.ask("/x", method="PATCH").status == 404


@pytest.mark.parametrize("trusted", [True, False])
def test_who_a_stranger_says_to_be_chooses_no_route(evener: Evener, trusted: bool) -> None:
    proxies = "trusted_proxies: [127.0.0.0/8], " if trusted else ""
    evener.start(
        f"listeners: {{web: {{bind: '{evener.listen}', {proxies}routes: ["
        "{header: {x-real-ip: 10.0.0.1}, respond: {body: inside}}, {respond: {body: outside}}]}}\n"
    )
    said = get(evener.listen, "/", "X-Real-IP: 10.0.0.1").body
    assert said == (b"inside" if trusted else b"outside")


@pytest.mark.leaf("listeners.NAME.routes[].match.host", "listeners.NAME.routes[].pool")
def test_hosts_match_without_port_and_case(routed: tuple[Evener, list[Origin]]) -> None:
    evener, _ = routed
    for host, status in [
        ("api.example", 200),
        ("API.Example:8080", 200),
        ("v1.api.example", 200),
        ("api.example.", 200),
        ("badapi.example", 404),
        ("example", 404),
    ]:
        with Wire(evener.listen) as wire:
            wire.send(f"GET /hosted HTTP/1.1\r\nHost: {host}\r\n\r\n")
            answer = wire.answer()
            assert answer.status == status, host
            assert answer.body == b"api /hosted" if status == 200 else True


@pytest.mark.leaf(
    "listeners.NAME.routes[].respond.status",
    "listeners.NAME.routes[].respond.body",
    "listeners.NAME.routes[].respond.type",
)
def test_answers_of_our_own_have_their_status_type_and_body(
    routed: tuple[Evener, list[Origin]],
) -> None:
    evener, _ = routed
    with Wire(evener.listen) as wire:
        teapot = wire.ask("/teapot")
        assert teapot.status == 418 and teapot.value("content-type") == "application/json"
        assert teapot.body == b'{"short": 1}'
        assert wire.ask("/teapot", method="HEAD").value("content-length") == "12"
        empty = wire.ask("/empty")
        assert empty.status == 204 and not empty.all("content-length")
        # A body that nobody reads does not break what follows.
        assert wire.ask("/exact", method="POST", body=b"x" * 100).body == b"exact"
    assert get(evener.listen, "/exact").body == b"exact"


@pytest.mark.leaf("listeners.NAME.routes[].redirect.to", "listeners.NAME.routes[].redirect.status")
def test_redirects_carry_the_request_over(routed: tuple[Evener, list[Origin]]) -> None:
    evener, _ = routed
    answer = get(evener.listen, "/old/x%2fy?a=1")
    assert answer.status == 308
    assert answer.value("location") == "https://test.example/old/x%2fy?a=1"
    moved = get(evener.listen, "/moved")
    assert (moved.status, moved.value("location")) == (302, "http://new.example/")


@pytest.mark.leaf(
    "listeners.NAME.routes[].respond.needs.pool", "listeners.NAME.routes[].respond.needs.up"
)
def test_a_health_page_needs_its_pool(routed: tuple[Evener, list[Origin]]) -> None:
    evener, servers = routed
    assert get(evener.listen, "/health").body == b"fine"
    servers[1].refuse()
    evener.until(f"api/{servers[1].address}", "down")
    assert get(evener.listen, "/health").status == 503
    servers[1].listen()
    evener.until(f"api/{servers[1].address}", "up")
    assert get(evener.listen, "/health").status == 200


@pytest.mark.leaf("listeners.NAME.redirect")
def test_a_whole_listener_redirects_to_https(evener: Evener) -> None:
    evener.start(f"listeners: {{web: {{bind: '{evener.listen}', redirect: https}}}}\n")
    answer = get(evener.listen, "/a?b=c")
    assert (answer.status, answer.value("location")) == (301, "https://test.example/a?b=c")
    with Wire(evener.listen) as wire:
        assert wire.ask("/a", method="POST", body=b"x").status == 308
        wire.send("GET / HTTP/1.1\r\nHost: shop.example:8080\r\n\r\n")
        assert wire.answer().value("location") == "https://shop.example/"


def test_routes_are_counted_by_their_own_names(routed: tuple[Evener, list[Origin]]) -> None:
    evener, _ = routed
    get(evener.listen, "/exact")
    get(evener.listen, "/exact")
    get(evener.listen, "/nowhere")
    numbers = evener.metrics()
    by_route = {
        dict(labels)["route"]: value
        for labels, value in numbers.all("evener_requests_total").items()
        if value
    }
    assert sorted(by_route.values()) == [1, 2], by_route
    evener.until_counts(1, "evener_requests_total", code="404")
    line = evener.until_logged(lambda line: line["url.path"] == "/nowhere")
    assert line["error.type"] == "no_route"
