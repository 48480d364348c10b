"""The keys under `http`: what is let through, what is refused, how messages are marked."""

from __future__ import annotations

import email.utils
import ssl
from collections.abc import Callable

import pytest

from .rig.certificates import Authority
from .rig.instance import Evener
from .rig.origin import Origin, Talk, answering
from .rig.wire import Wire, get


def start(evener: Evener, origin: Origin, listener: str = "", pool: str = "") -> Evener:
    return evener.start(
        f"listeners: {{web: {{bind: '{evener.listen}', pool: app, http: {{{listener}}}}}}}\n"
        f"pools: {{app: {{servers: ['{origin.address}'], {pool}}}}}\n",
        shards=1,
    )


@pytest.mark.leaf("listeners.NAME.http.underscores")
@pytest.mark.parametrize("rule", ["drop", "pass", "refuse"])
def test_fields_with_underscores_are_dropped_passed_or_refused(
    evener: Evener, origin: Origin, rule: str
) -> None:
    start(evener, origin, f"underscores: {rule}")
    answer = get(evener.listen, "/", "A_B: c", "Content_Length: 5")
    assert answer.status == (400 if rule == "refuse" else 200)
    if rule == "refuse":
        line = evener.until_logged(lambda line: True)
        assert line["error.type"] == "underscore" and not origin.requests
        evener.until_counts(1, "evener_listener_malformed_total", cause="underscore")
    else:
        assert origin.requests[-1].all("a_b") == (["c"] if rule == "pass" else [])
        assert not origin.requests[-1].all("content_length"), "it is one that frames, misspelt"


@pytest.mark.leaf("listeners.NAME.http.via")
def test_messages_are_marked_both_ways_where_that_is_wanted(
    evener: Evener, origins: Callable[..., Origin]
) -> None:
    origin = origins(answering(b"ok", fields=["Via: 1.1 theirs"]))
    start(evener, origin, "via: on")
    answer = get(evener.listen, "/", "Via: 1.0 before")
    assert origin.requests[-1].all("via") == ["1.0 before", "1.1 evener"]
    assert answer.all("via") == ["1.1 theirs", "1.1 evener"]
    evener.write_whole(evener.file.read_text().replace("via: on", "via: off"))
    evener.reload()
    answer = get(evener.listen, "/", "Via: 1.0 before")
    assert origin.requests[-1].all("via") == ["1.0 before"]
    assert answer.all("via") == ["1.1 theirs"]


@pytest.mark.leaf("listeners.NAME.http.interim")
def test_clients_are_spared_interim_answers_where_that_is_wanted(
    evener: Evener, origins: Callable[..., Origin]
) -> None:
    def behave(talk: Talk) -> None:
        while True:
            head = talk.head()
            talk.send(b"HTTP/1.1 103 Early Hints\r\n\r\n")
            if head.value("expect"):
                talk.send(b"HTTP/1.1 100 Continue\r\n\r\n")
            talk.answer(talk.body(head))

    start(evener, origins(behave), "interim: drop")
    with Wire(evener.listen) as wire:
        assert wire.ask("/").status == 200
        wire.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
        assert wire.answer().status == 100
        assert wire.send("body").answer().body == b"body"


@pytest.mark.leaf("listeners.NAME.http.accept")
def test_violations_of_clients_that_are_named_go_in_rebuilt_and_counted(
    evener: Evener, origin: Origin
) -> None:
    start(evener, origin, "accept: [lf, obs_fold, bad_names]")
    with Wire(evener.listen) as wire:
        wire.send("GET /odd HTTP/1.1\nHost: a\r\nA: b\n c\nX Y: z\n\n")
        assert wire.answer().status == 200
        assert wire.ask("/even").status == 200
    got = origin.got("/odd")
    assert b"\r\nA: b  c\r\n" in got.raw_head and not got.all("x y")
    assert got.raw_head.count(b"\n") == got.raw_head.count(b"\r\n")
    for word in ("lf", "obs_fold", "bad_names"):
        evener.until_counts(1, "evener_listener_violations_total", violation=word)
    # What could be read as framing by somebody is refused even so.
    assert get(evener.listen, "/", "Content Length: 5").status == 400
    assert get(evener.listen, "/", "Content-Length: 1\r\n 2").status == 400


@pytest.mark.leaf("pools.NAME.http.accept")
def test_violations_of_servers_that_are_named_go_in_rebuilt_and_counted(
    evener: Evener, origins: Callable[..., Origin]
) -> None:
    def behave(talk: Talk) -> None:
        while True:
            talk.request()
            talk.send(b"HTTP/1.1 200 OK\nA: b\n c\nX Y: z\nContent-Length: 2\n\nok")

    origin = origins(behave)
    start(evener, origin, pool="http: {accept: [lf, obs_fold, bad_names]}")
    answer = get(evener.listen)
    assert (answer.status, answer.value("a"), answer.body) == (200, "b  c", b"ok")
    assert not answer.all("x y")
    for word in ("lf", "obs_fold", "bad_names"):
        evener.until_counts(1, "evener_server_violations_total", violation=word)
    evener.write_whole(evener.file.read_text().replace("lf, ", ""))
    evener.reload()
    assert get(evener.listen).status == 502
    line = evener.until_logged(lambda line: line["http.response.status_code"] == 502)
    assert line["error.detail"] == "bare_lf"


@pytest.mark.leaf("listeners.NAME.http.versions")
def test_the_versions_that_are_spoken_are_offered_to_clients_of_tls(
    evener: Evener, origin: Origin, authority: Authority
) -> None:
    evener.start(
        f"listeners: {{web: {{bind: '{evener.listen}', pool: app, http: {{versions: [h1]}}, "
        f"tls: {{certificates: '{authority.issue('a.test')}'}}}}}}\n"
        f"pools: {{app: ['{origin.address}']}}\n"
    )
    context = authority.client()
    context.set_alpn_protocols(["h2", "http/1.1"])
    with Wire(evener.listen, context, "a.test") as wire:
        assert isinstance(wire.sock, ssl.SSLSocket)
        assert wire.sock.selected_alpn_protocol() == "http/1.1"
        assert wire.ask("/").status == 200


def test_an_answer_without_a_date_gets_one_and_ours_have_one(
    evener: Evener, origins: Callable[..., Origin]
) -> None:
    theirs = "Tue, 15 Nov 1994 08:12:31 GMT"
    behaviour = [answering(b"ok"), answering(b"ok", fields=[f"Date: {theirs}"])]

    def behave(talk: Talk) -> None:
        behaviour[0](talk)

    origin = origins(behave)
    start(evener, origin, pool="keepalive: off")
    for answer in (get(evener.listen), get(evener.listen, "/.."), get(evener.listen, "/\\")):
        date = email.utils.parsedate_to_datetime(answer.value("date") or "")
        assert abs((email.utils.localtime() - date).total_seconds()) < 5, date
    behaviour.pop(0)
    assert get(evener.listen).value("date") == theirs


def test_options_that_may_go_no_further_are_answered_here_and_refused_methods_name_the_others(
    evener: Evener, origin: Origin
) -> None:
    start(evener, origin)
    with Wire(evener.listen) as wire:
        answer = wire.ask("*", "Max-Forwards: 0", method="OPTIONS")
        assert answer.status == 200 and "GET" in (answer.value("allow") or "")
        assert not origin.requests
        assert wire.ask("/one", "Max-Forwards: 5", method="OPTIONS").status == 200
        assert origin.got("/one").value("max-forwards") == "4"
    for method in ("TRACE", "CONNECT"):
        target = "a:443" if method == "CONNECT" else "/"
        answer = get(evener.listen, target, method=method)
        assert answer.status == 405 and "GET" in (answer.value("allow") or "")


OFFENCES = {
    "expect_unknown": (417, "Expect: miracles"),
    "transfer_encoding_unknown": (501, "Transfer-Encoding: gzip"),
    "too_many_fields": (431, "\r\n".join(f"X-{at}: y" for at in range(100))),
    "head_too_large": (431, "X: " + "y" * 70_000),
}


@pytest.mark.parametrize("cause", OFFENCES)
def test_a_refusal_is_logged_and_counted_by_its_cause(
    evener: Evener, origin: Origin, cause: str
) -> None:
    start(evener, origin)
    status, field = OFFENCES[cause]
    answer = get(evener.listen, "/", field)
    assert answer.status == status and answer.value("connection") == "close"
    assert evener.until_logged(lambda line: True)["error.type"] == cause
    evener.until_counts(1, "evener_listener_malformed_total", cause=cause)
    assert not origin.requests


ANSWERS = {
    "status_line": b"HELLO\r\n\r\n",
    "length_and_transfer_encoding": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunk_size": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
}


@pytest.mark.parametrize("cause", ANSWERS)
def test_an_answer_that_is_refused_is_logged_and_counted_by_its_cause(
    evener: Evener, origins: Callable[..., Origin], cause: str
) -> None:
    def junk(talk: Talk) -> None:
        while talk.some():
            talk.send(ANSWERS[cause])

    start(evener, origins(junk))
    assert get(evener.listen).status == 502
    evener.until_counts(1, "evener_pool_malformed_total", cause=cause, pool="app")
    assert evener.metrics().value("evener_pool_malformed_total") == 1
