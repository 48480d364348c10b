"""What a server is told, what it is not told, and what comes back."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from .rig.instance import Evener, Tree
from .rig.origin import Origin, Talk, answering
from .rig.wire import Wire, get


def start(evener: Evener, origin: Origin, listener: str = "") -> Evener:
    return evener.start(
        f"listeners: {{web: {{bind: '{evener.listen}', pool: app, {listener}}}}}\n"
        f"pools: {{app: ['{origin.address}']}}\n"
    )


def test_end_to_end_fields_pass_as_they_are(evener: Evener, origins: Callable[..., Origin]) -> None:
    back = ["X-Odd-Case: Kept as It Is", "Set-Cookie: a=1", "Set-Cookie: b=2", "Server: theirs"]
    origin = origins(answering(b"ok", fields=back))
    start(evener, origin)
    answer = get(
        evener.listen, "/?q=%2f&r=a+b", "X-OwN: value,  with  spaces", "Accept: a", "Accept: b"
    )
    got = origin.got("/?q=%2f&r=a+b")
    assert ("X-OwN", "value,  with  spaces") in got.fields
    assert got.all("accept") == ["a", "b"]
    assert got.value("host") == "test.example"
    assert ("X-Odd-Case", "Kept as It Is") in answer.fields
    assert answer.all("set-cookie") == ["a=1", "b=2"]
    assert answer.value("server") == "theirs"


def test_hop_by_hop_fields_stop_here(evener: Evener, origins: Callable[..., Origin]) -> None:
    back = ["Keep-Alive: timeout=5", "Connection: x-back", "X-Back: gone", "Proxy-Connection: x"]
    origin = origins(answering(b"ok", fields=back))
    start(evener, origin)
    answer = get(
        evener.listen, "/", "Keep-Alive: 300", "TE: trailers", "Proxy-Connection: keep-alive",
        "X-Named: gone", "X-Stays: here",
    )  # fmt: skip
    assert answer.status == 200
    for name in ("keep-alive", "x-back", "proxy-connection"):
        assert not answer.all(name), name
    got = origin.requests[-1]
    for name in ("keep-alive", "te", "proxy-connection", "upgrade"):
        assert not got.all(name), name
    assert got.value("x-stays") == "here"
    with Wire(evener.listen) as wire:
        wire.ask("/named", "Connection: X-Named, x-forwarded-for", "X-Named: gone")
    named = origin.got("/named")
    assert not named.all("x-named")
    assert named.value("x-forwarded-for") == "127.0.0.1", "a field of ours cannot be named away"


def test_forwarded_fields_of_strangers_are_replaced(evener: Evener, origin: Origin) -> None:
    start(evener, origin)
    get(
        evener.listen, "/", "X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: https",
        "X-Forwarded-Host: evil", "X-Real-IP: 192.0.2.1", "Forwarded: for=192.0.2.1",
        "X_Forwarded_For: 192.0.2.1", "x-forwarded-for: 192.0.2.2",
    )  # fmt: skip
    got = origin.requests[-1]
    assert got.all("x-forwarded-for") == ["127.0.0.1"]
    assert got.all("x-forwarded-proto") == ["http"]
    assert got.all("x-forwarded-host") == ["test.example"]
    for name in ("x-real-ip", "forwarded", "x_forwarded_for"):
        assert not got.all(name), name
    assert evener.until_logged(lambda line: True)["client.address"] == "127.0.0.1"


@pytest.mark.leaf("listeners.NAME.trusted_proxies")
def test_forwarded_fields_of_trusted_proxies_are_continued(evener: Evener, origin: Origin) -> None:
    start(evener, origin, "trusted_proxies: [127.0.0.0/8, 198.51.100.0/24]")
    get(
        evener.listen, "/", "X-Forwarded-For: 203.0.113.9, 198.51.100.7",
        "X-Forwarded-Proto: https", "X-Forwarded-Host: shop.example",
    )  # fmt: skip
    got = origin.requests[-1]
    addresses = ", ".join(got.all("x-forwarded-for"))
    assert addresses == "203.0.113.9, 198.51.100.7, 127.0.0.1"
    assert got.all("x-forwarded-proto") == ["https"]
    assert got.all("x-forwarded-host") == ["shop.example"]
    # The client is the last address that is no proxy of ours.
    assert evener.until_logged(lambda line: True)["client.address"] == "203.0.113.9"


def test_our_own_answers_are_short_and_in_the_form_that_is_wished(
    evener: Evener, origin: Origin
) -> None:
    start(evener, origin)
    origin.refuse()
    plain = get(evener.listen)
    assert plain.status == 502 and plain.value("content-type") == "text/plain; charset=utf-8"
    assert plain.body.startswith(b"502 Bad Gateway") and origin.address.encode() not in plain.body
    json = get(evener.listen, "/", "Accept: application/json")
    assert json.value("content-type") == "application/json" and b'"status":502' in json.body
    head = get(evener.listen, method="HEAD")
    assert head.status == 502 and head.body == b""
    for answer in (plain, json, head):
        assert not answer.all("server"), "nothing tells what answered"


def test_a_refused_upgrade_to_h2c_is_served_as_1_1(evener: Evener, origin: Origin) -> None:
    start(evener, origin)
    with Wire(evener.listen) as wire:
        answer = wire.ask(
            "/h2c",
            "Connection: Upgrade, HTTP2-Settings",
            "Upgrade: h2c",
            "HTTP2-Settings: AAMAAABk",
        )
        assert answer.status == 200
    got = origin.got("/h2c")
    assert not got.all("upgrade") and not got.all("http2-settings")


def test_an_answer_that_upgrades_unasked_is_a_502(
    evener: Evener, origins: Callable[..., Origin]
) -> None:
    def behave(talk: Talk) -> None:
        talk.request()
        talk.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n")
        talk.until_left()

    start(evener, origins(behave))
    assert get(evener.listen).status == 502


def test_peers_on_a_unix_socket_are_trusted_when_told(
    evener: Evener, origin: Origin, home: Path
) -> None:
    for trusted, client in (("none", "unix"), ("unix", "203.0.113.9")):
        path = home / f"{trusted}.sock"
        text = (
            f"listeners: {{web: {{bind: 'unix:{path}', pool: app, trusted_proxies: {trusted}}}}}\n"
            f"pools: {{app: ['{origin.address}']}}\n"
        )
        if evener.process is None:
            evener.start(text)
        else:
            evener.reload(text)
        get(f"unix:{path}", f"/{trusted}", "X-Forwarded-For: 203.0.113.9")
        line = evener.until_logged(partial(_is_of, f"/{trusted}"))
        assert line["client.address"] == client
    assert origin.got("/none").all("x-forwarded-for") == ["unix"]
    assert origin.got("/unix").all("x-forwarded-for") == ["203.0.113.9, unix"]


def _is_of(path: str, line: Tree) -> bool:
    return bool(line["url.path"] == path)
