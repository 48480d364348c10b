"""TLS towards clients: certificates by name, versions, resumption, words where it is missing."""

from __future__ import annotations

import os
import signal
import socket
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from .rig.certificates import Authority
from .rig.checking import CheckingClient
from .rig.instance import Evener
from .rig.origin import Origin
from .rig.processes import Process, output_of, program
from .rig.programs import Webs
from .rig.waiting import eventually
from .rig.wire import Wire


def start(evener: Evener, origin: Origin, tls: str, more: str = "") -> Evener:
    return evener.start(
        f"listeners: {{web: {{bind: '{evener.listen}', tls: {tls}, pool: app, {more}}}}}\n"
        f"pools: {{app: ['{origin.address}']}}\n"
    )


def names_of(wire: Wire) -> set[str]:
    """The names in the certificate that was shown."""
    assert isinstance(wire.sock, ssl.SSLSocket)
    certificate = wire.sock.getpeercert()
    assert certificate is not None
    return {str(pair[1]) for pair in certificate["subjectAltName"] if pair[0] == "DNS"}


def test_https_is_answered_and_the_server_hears_of_it(
    evener: Evener, origin: Origin, authority: Authority
) -> None:
    start(evener, origin, f"'{authority.issue('a.example')}'")
    with Wire(evener.listen, authority.client(), "a.example") as wire:
        for target in ("/1", "/2"):
            assert wire.ask(target).body == f"origin {target}".encode()
    assert origin.got("/1").value("x-forwarded-proto") == "https"
    assert evener.status()["listeners"][0]["protocol"] == "http+tls"


def test_a_certificate_that_ends_soon_is_said_until_it_is_renewed(
    evener: Evener, origin: Origin, authority: Authority
) -> None:
    def ends() -> float:
        page = evener.metrics()
        name = "evener_certificate_not_after_timestamp_seconds"
        return page.value(name, file=str(file))

    soon = datetime.now(UTC).replace(microsecond=0) + timedelta(days=3, hours=1)
    file = authority.issue("a.example", until=soon)
    start(evener, origin, f"'{file}'")
    assert ends() == soon.timestamp()
    assert f"the certificate {file} ends in 3 d" in evener.problems()
    later = soon + timedelta(days=90)
    authority.issue("a.example", until=later)
    evener.tell("reload")
    assert ends() == later.timestamp()
    assert evener.problems() == ""


@pytest.mark.leaf("listeners.NAME.tls.certificates[].cert")
def test_certificates_are_chosen_by_name_and_the_first_serves_the_rest(
    evener: Evener, origin: Origin, authority: Authority
) -> None:
    first, second = authority.issue("first.example"), authority.issue("second.example", "b.example")
    start(evener, origin, f"['{first}', '{second}']")
    client = authority.client()
    client.check_hostname = False
    for asked, shown in [
        ("first.example", {"first.example"}),
        ("second.example", {"second.example", "b.example"}),
        ("B.Example", {"second.example", "b.example"}),
        ("unknown.example", {"first.example"}),
        (None, {"first.example"}),
    ]:
        with Wire(evener.listen, client, asked) as wire:
            assert names_of(wire) == shown, asked
            assert wire.ask("/").status == 200


@pytest.mark.leaf("listeners.NAME.tls.certificates[].key")
def test_a_separate_key_file_does_as_well(
    evener: Evener, origin: Origin, authority: Authority, home: Path
) -> None:
    both = authority.issue("split.example").read_text()
    at = both.index("-----BEGIN CERTIFICATE")
    (home / "a.key").write_text(both[:at])
    (home / "a.pem").write_text(both[at:])
    start(evener, origin, f"{{certificates: [{{cert: '{home}/a.pem', key: '{home}/a.key'}}]}}")
    with Wire(evener.listen, authority.client(), "split.example") as wire:
        assert wire.ask("/").status == 200


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_both_versions_are_spoken_and_counted(
    evener: Evener, origin: Origin, authority: Authority, version: ssl.TLSVersion
) -> None:
    start(evener, origin, f"'{authority.issue('a.example')}'")
    with Wire(evener.listen, authority.client(version), "a.example") as wire:
        assert wire.ask("/").status == 200
    label = "1.2" if version == ssl.TLSVersion.TLSv1_2 else "1.3"
    evener.until_counts(1, "evener_tls_handshakes_total", version=label, result="full")


@pytest.mark.leaf("listeners.NAME.tls.min_version")
def test_min_version_keeps_the_older_one_out(
    evener: Evener, origin: Origin, authority: Authority
) -> None:
    cert = authority.issue("a.example")
    start(evener, origin, f"{{certificates: '{cert}', min_version: 1.3}}")
    with pytest.raises(ssl.SSLError):
        Wire(evener.listen, authority.client(ssl.TLSVersion.TLSv1_2), "a.example")
    with Wire(evener.listen, authority.client(ssl.TLSVersion.TLSv1_3), "a.example") as wire:
        assert wire.ask("/").status == 200
    evener.until_counts(1, "evener_tls_handshakes_total", result="failed")


def test_alpn_offers_what_is_spoken(evener: Evener, origin: Origin, authority: Authority) -> None:
    start(evener, origin, f"'{authority.issue('a.example')}'")
    with Wire(evener.listen, authority.client(alpn=["h2", "http/1.1"]), "a.example") as wire:
        assert isinstance(wire.sock, ssl.SSLSocket)
        assert wire.sock.selected_alpn_protocol() == "http/1.1"
        assert wire.ask("/").status == 200


def test_plain_http_on_a_tls_port_is_told_so(
    evener: Evener, origin: Origin, authority: Authority
) -> None:
    start(evener, origin, f"'{authority.issue('a.example')}'")
    with Wire(evener.listen) as wire:
        answer = wire.ask("/")
        assert answer.status == 400 and b"HTTPS" in answer.body
        assert wire.rest() == b""
    evener.until_counts(1, "evener_listener_errors_total", cause="plain_on_tls")
    assert not origin.requests


def resumes(evener: Evener, session: Path, version: str, old: bool) -> bool:
    """Shakes hands by openssl, offering the session in a file if `old`; whether it was resumed."""
    host, _, port = evener.listen.rpartition(":")
    command = [program("openssl"), "s_client", "-connect", f"{host}:{port}", f"-{version}"]
    command += ["-servername", "a.example", "-sess_in" if old else "-sess_out", str(session)]
    # A ticket of TLS 1.3 comes behind the handshake: an answer is awaited with it.
    question = b"GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n"
    said = output_of([*command, "-ign_eof"], stdin=question)
    assert "HTTP/1.1 200 OK" in said, said
    assert ("Reused, TLS" in said) != ("New, TLS" in said), said
    return "Reused, TLS" in said


@pytest.mark.parametrize("version", ["tls1_2", "tls1_3"])
def test_sessions_are_resumed_also_by_the_next_worker(
    evener: Evener, origin: Origin, authority: Authority, home: Path, version: str
) -> None:
    start(evener, origin, f"'{authority.issue('a.example')}'")
    session = home / "session"
    assert not resumes(evener, session, version, old=False)
    assert resumes(evener, session, version, old=True)
    old = evener.worker
    os.kill(old, signal.SIGKILL)
    eventually(lambda: evener.worker != old, what="the next worker")
    assert resumes(evener, session, version, old=True)
    evener.reload()
    assert resumes(evener, session, version, old=True)
    label = version.replace("tls1_", "1.")
    evener.until_counts(3, "evener_tls_handshakes_total", version=label, result="resumed")


def test_certificates_are_read_again_at_a_reload(
    evener: Evener, origin: Origin, authority: Authority, home: Path
) -> None:
    cert = home / "cert.pem"
    cert.write_text(authority.issue("old.example").read_text())
    start(evener, origin, f"'{cert}'")
    with Wire(evener.listen, authority.client(), "old.example") as kept:
        assert kept.ask("/").status == 200
        cert.write_text(authority.issue("new.example").read_text())
        evener.reload()
        assert kept.ask("/").status == 200, "who is connected stays"
    with Wire(evener.listen, authority.client(), "new.example") as wire:
        assert names_of(wire) == {"new.example"}


def test_a_certificate_that_cannot_be_used_is_named_and_changes_nothing(
    evener: Evener, origin: Origin, authority: Authority, home: Path
) -> None:
    cert = home / "cert.pem"
    good = authority.issue("a.example").read_text()
    cert.write_text(good)
    start(evener, origin, f"'{cert}'")
    other = authority.issue("b.example").read_text()
    broken = {
        "no PEM": "nothing of the kind",
        "no key": good[good.index("-----BEGIN CERTIFICATE") :],
        "another's key": other[: other.index("-----BEGIN CERTIFICATE")]
        + good[good.index("-----BEGIN CERTIFICATE") :],
    }
    for text in broken.values():
        cert.write_text(text)
        refused = evener.command("reload", "--run", str(evener.run))
        assert refused.returncode == 1 and str(cert) in refused.stderr, refused.stderr
        with Wire(evener.listen, authority.client(), "a.example") as wire:
            assert wire.ask("/").status == 200
    cert.unlink()
    missing = evener.command("check", str(evener.file))
    assert missing.returncode == 2 and str(cert) in missing.stderr


def test_curl_speaks_https_through(evener: Evener, origin: Origin, authority: Authority) -> None:
    start(evener, origin, f"'{authority.issue('a.example')}'")
    host, _, port = evener.listen.rpartition(":")
    command = [program("curl"), "-sS", "--cacert", str(authority.file)]
    command += ["--connect-to", f"a.example:443:{host}:{port}", "https://a.example/curl"]
    assert output_of(command) == "origin /curl"


def test_bodies_of_many_records_pass_both_ways(
    evener: Evener, origins: Callable[..., Origin], authority: Authority
) -> None:
    from .rig.origin import Talk

    def echo(talk: Talk) -> None:
        while True:
            talk.answer(talk.request().body)

    start(evener, origins(echo), f"'{authority.issue('a.example')}'")
    body = b"".join(b"%015d\n" % at for at in range(1 << 15))
    with Wire(evener.listen, authority.client(), "a.example") as wire:
        for _ in range(3):
            assert wire.ask("/", method="POST", body=body).body == body


def test_a_closing_connection_says_close_notify(
    evener: Evener, origin: Origin, authority: Authority
) -> None:
    """Without it a client can't tell an answer's end from a cut (RFC 8446 §6.1)."""
    start(evener, origin, f"'{authority.issue('a.example')}'")
    context = authority.client()
    raw = socket.create_connection(
        (evener.listen.rpartition(":")[0], int(evener.listen.rpartition(":")[2]))
    )
    with context.wrap_socket(raw, server_hostname="a.example", suppress_ragged_eofs=False) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n")
        while sock.recv(65536):  # an end without the word would raise
            pass


def test_a_tls_listener_of_tcp_ends_tls_and_relays(
    evener: Evener, origins: Callable[..., Origin], authority: Authority, home: Path
) -> None:
    from .rig.origin import Talk

    def echo(talk: Talk) -> None:
        while piece := talk.some():
            talk.send(piece)

    origin = origins(echo)
    cert = authority.issue("a.example")
    evener.start(
        f"listeners: {{db: {{bind: '{evener.listen}', protocol: tcp, tls: '{cert}', pool: db}}}}\n"
        f"pools: {{db: ['{origin.address}']}}\n"
    )
    with Wire(evener.listen, authority.client(), "a.example") as wire:
        wire.send(b"ping")
        assert wire.take(4) == b"ping"


def test_openssl_finds_no_more_than_what_is_promised(
    evener: Evener, origin: Origin, authority: Authority, home: Path
) -> None:
    """TLS 1.1 is refused, whatever a client offers (RFC 8996)."""
    start(evener, origin, f"'{authority.issue('a.example')}'")
    host, _, port = evener.listen.rpartition(":")
    command = [program("openssl"), "s_client", "-connect", f"{host}:{port}", "-tls1_1"]
    old = Process("openssl", [*command, "-cipher", "ALL:@SECLEVEL=0"], home)
    assert old.ended() == 1


def test_a_parked_connection_answers_again(
    evener: Evener, origin: Origin, authority: Authority
) -> None:
    start(evener, origin, f"'{authority.issue('a.example')}'")
    with Wire(evener.listen, authority.client(), "a.example") as wire:
        for target in ("/1", "/2"):
            assert wire.ask(target).status == 200
            evener.until_counts(1, "evener_parked_connections")
        assert wire.ask("/3").body == b"origin /3"


def test_reloads_with_new_certificates_cost_no_answer(
    evener: Evener, webs: Callable[..., Webs], authority: Authority, home: Path
) -> None:
    nginx, cert = webs("a"), home / "cert.pem"
    cert.write_text(authority.issue("a.example").read_text())
    text = (
        f"listeners: {{web: {{bind: '{evener.listen}', tls: '{cert}', pool: app}}}}\n"
        f"pools: {{app: ['{nginx['a']}']}}\n"
    )
    evener.start(text)
    tls, name = authority.client(), "a.example"
    with (
        CheckingClient(evener.listen, 4, pipeline=4, tls=tls, name=name) as client,
        CheckingClient(evener.listen, 2, per_connection=2, tls=tls, name=name) as short,
    ):
        eventually(lambda: short.account.answered > 20, what="load")
        for turn in range(8):
            cert.write_text(authority.issue("a.example").read_text())
            evener.ask("/v1/reload", "POST")
            at = short.account.answered
            eventually(lambda at=at: short.account.answered > at + 5, what=f"answers {turn}")
        accounts = [client.stop(), short.stop()]
    for account in accounts:
        assert not account.anomalies, account.anomalies
