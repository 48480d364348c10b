"""TLS towards servers: verified unless told otherwise, and errors say what failed."""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from .rig.certificates import Authority
from .rig.instance import Evener
from .rig.origin import Origin, Talk, answering
from .rig.places import free_port, fresh_host
from .rig.processes import Process, output_of, program
from .rig.programs import answers
from .rig.waiting import eventually
from .rig.wire import Wire, get

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "tls.md"


def start(evener: Evener, server: str, tls: str, more: str = "") -> Evener:
    return evener.start(
        f"listeners: {{web: {{bind: '{evener.listen}', pool: app}}}}\n"
        f"pools: {{app: {{protocol: https, servers: ['{server}'], tls: {{{tls}}}, {more}}}}}\n"
    )


@pytest.fixture
def secure(origins: Callable[..., Origin], authority: Authority) -> Origin:
    """An https server on 127.0.0.1 whose certificate is for that address and `in.example`."""
    tls = authority.server(authority.issue("in.example", "127.0.0.1"))
    return origins(tls=tls, host="127.0.0.1")


@pytest.mark.leaf("pools.NAME.tls.ca")
def test_a_server_is_verified_by_its_address(
    evener: Evener, secure: Origin, authority: Authority
) -> None:
    start(evener, secure.address, f"ca: '{authority.file}'")
    with Wire(evener.listen) as wire:
        for target in ("/1", "/2", "/3"):
            assert wire.ask(target).body == f"origin {target}".encode()
    evener.until_counts(2, "evener_server_reuses_total")


@pytest.mark.leaf("pools.NAME.tls.server_name")
def test_server_name_is_verified_and_sent_as_sni(
    evener: Evener, origins: Callable[..., Origin], authority: Authority
) -> None:
    asked: list[str | None] = []
    tls = authority.server(authority.issue("in.example"))
    tls.sni_callback = lambda _sock, name, _context: asked.append(name)
    origin = origins(tls=tls, host="127.0.0.1")
    start(evener, origin.address, f"ca: '{authority.file}', server_name: in.example")
    assert get(evener.listen).status == 200
    assert asked == ["in.example"]


def failure(evener: Evener, status: int = 502) -> str:
    """What the log says of a request that fails, in `error.type` and `error.detail`."""
    answer = get(evener.listen)
    assert answer.status == status, answer
    line = evener.until_logged(lambda line: line["http.response.status_code"] == status)
    assert line["error.type"] == "server_tls_failed", line
    assert line["error.detail"].startswith("TLS: "), line
    numbers = evener.metrics()
    assert numbers.value("evener_server_connect_failures_total", cause="tls") >= 1
    return f"{line['error.detail']} {evener.words()}"


def test_an_authority_that_is_not_trusted_is_an_error_that_says_so(
    evener: Evener, secure: Origin
) -> None:
    start(evener, secure.address, "verify: on")
    said = failure(evener)
    assert "UnknownIssuer" in said and "name its authority's certificate" in said, said


def test_a_name_that_does_not_match_is_an_error_that_says_so(
    evener: Evener, secure: Origin, authority: Authority
) -> None:
    start(evener, secure.address, f"ca: '{authority.file}', server_name: other.example")
    said = failure(evener)
    assert "other.example" in said and "in.example" in said, said
    assert "`tls.server_name` says which name" in said, said


def test_a_server_without_tls_is_an_error_that_says_so(
    evener: Evener, origin: Origin, authority: Authority
) -> None:
    def speaks_plain(talk: Talk) -> None:
        talk.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        talk.until_left()

    origin.behave = speaks_plain
    start(evener, origin.address, f"ca: '{authority.file}'")
    assert "speaks no TLS" in failure(evener)


@pytest.mark.leaf("pools.NAME.tls.verify")
def test_verify_off_takes_anybody(evener: Evener, secure: Origin) -> None:
    start(evener, secure.address, "verify: off")
    assert get(evener.listen).status == 200


@pytest.mark.leaf("pools.NAME.tls.client.cert")
def test_our_own_certificate_is_shown_when_asked(
    evener: Evener, origins: Callable[..., Origin], authority: Authority
) -> None:
    tls = authority.server(authority.issue("in.example", "127.0.0.1"), asks=True)
    origin = origins(tls=tls, host="127.0.0.1")
    own = authority.issue("own.example")
    start(evener, origin.address, f"ca: '{authority.file}', client: {{cert: '{own}'}}")
    assert get(evener.listen).status == 200
    evener.write(
        evener.file.read_text().partition("\n")[2].replace(f", client: {{cert: '{own}'}}", "")
    )
    evener.reload()
    assert get(evener.listen).status == 502


@pytest.mark.leaf("pools.NAME.tls.min_version")
def test_min_version_is_asked_of_servers(
    evener: Evener, origins: Callable[..., Origin], authority: Authority
) -> None:
    tls = authority.server(authority.issue("127.0.0.1"))
    tls.maximum_version = ssl.TLSVersion.TLSv1_2
    origin = origins(tls=tls, host="127.0.0.1")
    start(evener, origin.address, f"ca: '{authority.file}'")
    assert get(evener.listen).status == 200
    text = evener.file.read_text().partition("\n")[2]
    evener.reload(
        text.replace(f"ca: '{authority.file}'", f"ca: '{authority.file}', min_version: 1.3")
    )
    assert get(evener.listen).status == 502


def test_a_tls_server_that_fails_leaves_and_the_next_one_answers(
    evener: Evener, secure: Origin, origins: Callable[..., Origin], authority: Authority
) -> None:
    stranger = Authority(authority.file.parent, "stranger")
    other = origins(tls=stranger.server(stranger.issue("127.0.0.1")), host="127.0.0.1")
    evener.start(
        f"listeners: {{web: {{bind: '{evener.listen}', pool: app}}}}\n"
        f"pools: {{app: {{protocol: https, servers: ['{other.address}', '{secure.address}'],"
        f" tls: {{ca: '{authority.file}'}}}}}}\n"
    )
    for _ in range(4):
        assert get(evener.listen).status == 200
    out = evener.server(f"app/{other.address}")
    assert out["state"] == "ejected" and "TLS failed" in out["reason"]
    assert f"app/{other.address}: TLS: invalid peer certificate: UnknownIssuer" in evener.words()


@pytest.mark.parametrize("check", ["tcp", "http: /health"])
def test_checks_shake_hands_too(
    evener: Evener, secure: Origin, authority: Authority, check: str
) -> None:
    start(evener, secure.address, f"ca: '{authority.file}'", f"check: {{{check}, every: 100ms}}")
    evener.until(f"app/{secure.address}", "up")
    eventually(lambda: evener.server(f"app/{secure.address}")["check"], what="a check")
    assert evener.server(f"app/{secure.address}")["check"]["ok"]
    text = evener.file.read_text().partition("\n")[2]
    evener.reload(text.replace(f"ca: '{authority.file}'", "verify: on"))
    evener.until(f"app/{secure.address}", "down")


def recipes() -> list[str]:
    """The openssl lines of the guide: an authority and its server, one certificate alone."""
    return re.findall(r"(?ms)^```sh\n(openssl .*?)^```", GUIDE.read_text())


def showing(origins: Callable[..., Origin], home: Path) -> Origin:
    """An https server with `app.pem` and `app.key`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(home / "app.pem", home / "app.key")
    return origins(tls=context, host="127.0.0.1")


@pytest.mark.parametrize(("recipe", "ca"), [(0, "ca.pem"), (1, "app.pem")])
def test_certificates_made_as_the_guide_says_are_verified(
    evener: Evener, origins: Callable[..., Origin], home: Path, recipe: int, ca: str
) -> None:
    output_of(["sh", "-ec", f"cd {home}\n{recipes()[recipe]}"])
    origin = showing(origins, home)
    start(evener, origin.address, f"ca: '{home / ca}', server_name: app.internal")
    assert get(evener.listen).status == 200


def test_an_authoritys_certificate_shown_by_a_server_is_refused_with_words(
    evener: Evener, origins: Callable[..., Origin], home: Path
) -> None:
    made_carelessly = recipes()[1].replace(" -addext basicConstraints=critical,CA:FALSE", "")
    output_of(["sh", "-ec", f"cd {home}\n{made_carelessly}"])
    origin = showing(origins, home)
    tls = f"ca: '{home / 'app.pem'}', server_name: app.internal"
    start(evener, origin.address, tls)
    assert "make it with CA:FALSE" in failure(evener)
    told = evener.tell("why", f"app/{origin.address}")
    assert "Last warning: " in told and "What to do: the server's certificate is marked" in told
    evener.reload(evener.file.read_text().partition("\n")[2].replace(tls, f"{tls}}}, check: {{tcp"))
    evener.until(f"app/{origin.address}", "down")
    assert "What to do: the server's certificate is marked as an authority's" in evener.tell(
        "why", f"app/{origin.address}"
    )


def test_openssls_server_is_spoken_to(evener: Evener, authority: Authority, home: Path) -> None:
    host = fresh_host()
    address = f"{host}:{free_port(host)}"
    cert = authority.issue("in.example")
    command = [program("openssl"), "s_server", "-accept", address, "-cert", str(cert)]
    server = Process("s_server", [*command, "-key", str(cert), "-www", "-quiet"], home)
    try:
        eventually(lambda: answers(address), what="openssl s_server listens")
        start(evener, address, f"ca: '{authority.file}', server_name: in.example")
        answer = get(evener.listen)
        assert answer.status == 200 and b"s_server" in answer.body
    finally:
        server.end()


def test_large_answers_come_whole_over_tls(
    evener: Evener, origins: Callable[..., Origin], authority: Authority
) -> None:
    body = b"".join(b"%015d\n" % at for at in range(1 << 16))
    tls = authority.server(authority.issue("127.0.0.1"))
    origin = origins(answering(body), tls=tls, host="127.0.0.1")
    start(evener, origin.address, f"ca: '{authority.file}'")
    with Wire(evener.listen) as wire:
        for _ in range(3):
            assert wire.ask("/").body == body
