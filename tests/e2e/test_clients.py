"""Limits per client: who holds too much or asks too fast is turned away, and nobody else."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, suppress

import pytest

from .rig.certificates import Authority
from .rig.instance import Evener
from .rig.origin import Origin, Talk
from .rig.waiting import eventually
from .rig.wire import Closed, Wire, get


def start(evener: Evener, origin: Origin, listener: str) -> Evener:
    return evener.start(
        f"listeners: {{web: {{bind: '{evener.listen}', pool: app, {listener}}}}}\n"
        f"pools: {{app: ['{origin.address}']}}\n"
    )


@pytest.mark.leaf("listeners.NAME.limits.per_client")
def test_a_client_has_so_many_connections_and_the_next_is_429_and_closed(
    evener: Evener, origin: Origin
) -> None:
    start(evener, origin, "limits: {per_client: 3}")
    with ExitStack() as all:
        wires = [all.enter_context(Wire(evener.listen)) for _ in range(3)]
        for wire in wires:
            assert wire.ask().status == 200
        with Wire(evener.listen) as fourth:
            refusal = fourth.answer()
            assert (refusal.status, refusal.value("connection")) == (429, "close")
            assert fourth.rest() == b""
        evener.until_counts(1, "evener_limit_hits_total", limit="per_client")
        line = evener.until_logged(lambda line: line["http.response.status_code"] == 429)
        assert (line["error.type"], line["client.address"]) == ("per_client", "127.0.0.1")
        # Parked connections are held as others are.
        eventually(lambda: evener.metrics().value("evener_parked_connections") == 3, 5.0)
        assert get(evener.listen).status == 429
        wires[0].close()
        eventually(lambda: get(evener.listen).status == 200, what="a place is free again")
        assert wires[1].ask().status == 200


def test_over_tls_a_client_with_too_many_connections_is_told_so_too(
    evener: Evener, origin: Origin, authority: Authority
) -> None:
    start(evener, origin, f"limits: {{per_client: 1}}, tls: '{authority.issue('web.test')}'")
    tls = authority.client()
    with Wire(evener.listen, tls, "web.test") as one:
        assert one.ask().status == 200
        with Wire(evener.listen, tls, "web.test") as two:
            assert two.answer().status == 429


def test_a_flood_of_one_client_is_closed_and_others_are_served(
    evener: Evener, origin: Origin
) -> None:
    start(evener, origin, "limits: {per_client: 2}")
    with ExitStack() as all:
        for _ in range(2):
            assert all.enter_context(Wire(evener.listen)).ask().status == 200
        flood = [all.enter_context(Wire(evener.listen)) for _ in range(300)]
        told = 0
        for wire in flood:
            with suppress(Closed, ConnectionError):
                told += wire.answer().status == 429
        assert 64 <= told <= 300, "some are told, the others are closed all the same"
        evener.until_counts(300, "evener_limit_hits_total", limit="per_client")
        eventually(
            lambda: sum(line.get("error.type") == "per_client" for line in evener.access()) == 300
        )
        with Wire(evener.listen, source="127.0.0.9") as other:
            assert other.ask().status == 200


@pytest.mark.leaf("listeners.NAME.limits.rate_per_client")
def test_a_client_asks_so_fast_and_no_faster(evener: Evener, origin: Origin) -> None:
    start(evener, origin, "limits: {rate_per_client: 5/h}")
    with Wire(evener.listen) as wire:
        for _ in range(5):
            assert wire.ask().status == 200
        refusal = wire.ask()
        assert (refusal.status, refusal.value("connection")) == (429, "close")
        assert 600 < int(refusal.value("retry-after") or 0) <= 720
        assert wire.rest() == b""
    assert len(origin.requests) == 5
    with Wire(evener.listen, source="127.0.0.9") as other:
        assert other.ask().status == 200
    evener.until_counts(1, "evener_limit_hits_total", limit="rate_per_client")
    line = evener.until_logged(lambda line: line["http.response.status_code"] == 429)
    assert line["error.type"] == "rate_per_client"


def test_behind_a_trusted_proxy_the_client_is_whom_the_proxy_names(
    evener: Evener, origin: Origin
) -> None:
    start(evener, origin, "limits: {rate_per_client: 1/h}, trusted_proxies: 127.0.0.1")
    with Wire(evener.listen) as proxy:
        for client, status in (("192.0.2.1", 200), ("192.0.2.1", 429), ("192.0.2.2", 200)):
            assert proxy.ask("/", f"X-Forwarded-For: {client}").status == status
        for host, status in ((":1", 200), ("2:3:4:5", 429)):
            answer = proxy.ask("/", f"X-Forwarded-For: 2001:db8:0:1:{host}")
            assert answer.status == status, "an IPv6 network of 64 bits is one client"


def test_sessions_beyond_either_limit_are_closed_counted_and_logged(
    evener: Evener, origins: Callable[..., Origin]
) -> None:
    def echo(talk: Talk) -> None:
        while piece := talk.some():
            talk.send(piece)

    start(evener, origins(echo), "protocol: tcp, limits: {per_client: 1, rate_per_client: 3/h}")
    with Wire(evener.listen) as one:
        assert one.send("hello").take(5) == b"hello"
        with Wire(evener.listen) as two:
            assert two.closes()
    line = evener.until_logged(lambda line: line.get("error.type") == "per_client")
    assert (line["client.address"], line["evener.pool"]) == ("127.0.0.1", "app")
    evener.until_counts(0, "evener_listener_open_connections")
    for _ in range(2):
        with Wire(evener.listen) as wire:
            assert wire.send("again").take(5) == b"again"
        evener.until_counts(0, "evener_listener_open_connections")
    with Wire(evener.listen) as wire:
        assert wire.closes()
    evener.until_logged(lambda line: line.get("error.type") == "rate_per_client")
    evener.until_counts(1, "evener_limit_hits_total", limit="per_client")
    evener.until_counts(1, "evener_limit_hits_total", limit="rate_per_client")
    evener.until_counts(2, "evener_listener_sessions_total", result="refused")


def test_a_reload_changes_the_limit_and_keeps_the_count(evener: Evener, origin: Origin) -> None:
    start(evener, origin, "limits: {per_client: 1}")
    # Each asks before the next connects: two shards take two connections in either order.
    with Wire(evener.listen) as one:
        assert one.ask().status == 200
        assert get(evener.listen).status == 429
        evener.file.write_text(evener.file.read_text().replace("per_client: 1", "per_client: 2"))
        evener.reload()
        with Wire(evener.listen) as two:
            assert two.ask().status == 200
            assert get(evener.listen).status == 429
