"""Routes set, add and remove fields, on the way to servers and on the way back."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from .rig.instance import Evener
from .rig.origin import Origin, answering
from .rig.wire import Wire, get

ROUTES = """
defaults:
  route: {{response_headers: {{set: {{X-Frame-Options: DENY}}, remove: X-Powered-By}}}}
listeners:
  web:
    bind: '{listen}'
    routes:
      - path: /edited
        pool: app
        request_headers:
          set: {{X-Client: '{{client.ip}} {{host}}', X-Forwarded-Proto: https}}
          add: {{X-Trace: ['{{pool}}', '{{header.x-in}}']}}
          remove: [Cookie, X-Debug]
        response_headers: {{add: {{Set-Cookie: [a=1, b=2]}}, set: {{Server: shop}}}}
      - path: /id
        pool: app
        request_headers: {{set: {{X-Request-ID: '{{request.id}}'}}}}
        response_headers: {{set: {{X-Request-ID: '{{request.id}}'}}}}
      - path: /own
        respond: {{body: hi}}
        response_headers: {{set: {{Content-Type: 'text/x-{{method}}'}}, remove: X-Frame-Options}}
      - {{path: /moved, redirect: 'http://new.example/', response_headers: {{set: {{X-M: '1'}}}}}}
      - {{path: /gone, pool: dead, response_headers: {{set: {{X-Path: '{{path}}'}}}}}}
pools:
  app: ['{app}']
  dead: ['{dead}']
"""


@pytest.fixture
def edited(evener: Evener, origins: Callable[..., Origin]) -> tuple[Evener, Origin]:
    app, dead = origins(answering(fields=["Server: nginx", "X-Powered-By: PHP"])), origins()
    dead.refuse()
    text = ROUTES.format(listen=evener.listen, app=app.address, dead=dead.address)
    evener.start(text, shards=1)
    return evener, app


@pytest.mark.leaf(
    "listeners.NAME.routes[].request_headers.set",
    "listeners.NAME.routes[].request_headers.add",
    "listeners.NAME.routes[].request_headers.remove",
)
def test_a_server_gets_the_request_as_the_route_edits_it(edited: tuple[Evener, Origin]) -> None:
    evener, app = edited
    with Wire(evener.listen) as wire:
        sent = ("x-client: eve", "X.Client: eve", "Cookie: s=1", "X-DEBUG: 1", "X-In: in", "X-O: k")
        for _ in range(2):
            assert wire.ask("/edited", *sent).status == 200
            got = app.requests[-1]
            assert got.value("x-client") == "127.0.0.1 test.example"
            assert not got.all("x.client") and not got.all("cookie") and not got.all("x-debug")
            assert got.value("x-forwarded-proto") == "https"
            assert got.all("x-trace") == ["app", "in"] and got.value("x-o") == "k"
        assert wire.ask("/id", *sent).status == 200
        assert app.requests[-1].value("x-debug") == "1", "of another route"


@pytest.mark.leaf(
    "listeners.NAME.routes[].response_headers.set",
    "listeners.NAME.routes[].response_headers.add",
    "listeners.NAME.routes[].response_headers.remove",
)
def test_a_client_gets_the_answer_as_the_route_edits_it(edited: tuple[Evener, Origin]) -> None:
    evener, _ = edited
    with Wire(evener.listen) as wire:
        answer = wire.ask("/edited")
        assert answer.value("server") == "shop" and answer.all("set-cookie") == ["a=1", "b=2"]
        assert answer.value("x-frame-options") == "DENY" and not answer.all("x-powered-by")
        assert answer.body == b"origin /edited"
        own = wire.ask("/own")
        assert own.value("content-type") == "text/x-GET" and own.body == b"hi"
        assert not own.all("x-frame-options"), "the route says so of a default"
        moved = wire.ask("/moved")
        assert (moved.status, moved.value("x-m")) == (302, "1")
        assert moved.value("location") == "http://new.example/"
        gone = wire.ask("/gone?x")
        assert (gone.status, gone.value("x-path")) == (502, "/gone")
        assert gone.value("x-frame-options") == "DENY", "errors are answers of the route, too"
        assert not wire.ask("/nowhere").all("x-frame-options"), "no route took it"


def test_an_id_is_one_for_server_client_and_log(edited: tuple[Evener, Origin]) -> None:
    evener, app = edited
    with Wire(evener.listen) as wire:
        ids = [wire.ask("/id").value("x-request-id") or "" for _ in range(50)]
    assert len(set(ids)) == 50 and all(re.fullmatch("[0-9a-f]{32}", one) for one in ids)
    assert [request.value("x-request-id") for request in app.requests] == ids
    line = evener.until_logged(lambda line: line.get("evener.request.id") == ids[-1])
    assert line["url.path"] == "/id"
    get(evener.listen, "/edited")
    line = evener.until_logged(lambda line: line["url.path"] == "/edited")
    assert "evener.request.id" not in line, "nobody asked for one"


def test_a_reload_takes_edits_up(edited: tuple[Evener, Origin]) -> None:
    evener, _ = edited
    assert get(evener.listen, "/edited").value("server") == "shop"
    evener.write_whole(evener.file.read_text().replace("Server: shop", "Server: other"))
    evener.reload()
    assert get(evener.listen, "/edited").value("server") == "other"
