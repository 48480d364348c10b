"""Reading certificates and keys."""

from pathlib import Path

import pytest
import trustme

from evener.compile import Secret
from evener.config import Config, ConfigError, Place
from evener.control.certificates import read_secrets, system_authorities
from evener.control.errors import CertificateError
from evener.control.serving import wanted_secrets
from evener.control.source import LoadedConfig

WHERE = "listeners.web.tls.certificates[0]"
PLACE = Place("f.yaml", 3, 7)


def pems(name: str = "a.example") -> tuple[str, str]:
    """A certificate with a key that fits it."""
    issued = trustme.CA().issue_cert(name)
    return issued.cert_chain_pems[0].bytes().decode(), issued.private_key_pem.bytes().decode()


CERTIFICATE, KEY = pems()
_, OTHER = pems("b.example")
#: RSA of 1024 bits, which nothing signs with any more.
SMALL = Path(__file__).with_name("rsa1024.pem")


def write(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


def test_chain_and_key_become_one_text(tmp_path: Path) -> None:
    files = write(tmp_path / "cert", CERTIFICATE), write(tmp_path / "key", KEY)
    (text,) = read_secrets({"web": Secret(WHERE, files, key=True)}).values()
    assert CERTIFICATE in text and KEY in text


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_comments_around_the_blocks_may_be_in_any_language(tmp_path: Path, encoding: str) -> None:
    text = f"# Schlüssel für Zoë\r\n{KEY}# Aussteller: É\n{CERTIFICATE}Ende ß\n"
    (tmp_path / "pem").write_bytes(text.encode(encoding))
    wanted = {"web": Secret(WHERE, (str(tmp_path / "pem"),), key=True)}
    assert read_secrets(wanted) == {"web": f"{KEY}{CERTIFICATE}"}


def test_all_that_is_wrong_is_named_at_once(tmp_path: Path) -> None:
    texts = {
        "gone": (None, "which can't be read: No such file"),
        "keyless": (CERTIFICATE, "found no private key in"),
        "key only": (KEY, "found no certificate in"),
        "der": ("\xff", "found no certificate in"),
        "locked": (CERTIFICATE + KEY.replace("EC PRIVATE", "ENCRYPTED PRIVATE"), "an encrypted"),
        "other": (CERTIFICATE + OTHER, "the key belongs to another certificate"),
        "small": (SMALL.read_text(), "RSA of 2048 to 8192 bits"),
        "junk": (CERTIFICATE[:60] + CERTIFICATE[90:] + KEY, "certificate is not readable"),
    }
    wanted = {}
    for line, (name, (text, _)) in enumerate(texts.items(), 1):
        path = str(tmp_path / name) if text is None else write(tmp_path / name, text)
        wanted[name] = Secret(WHERE, (path,), key=True, place=PLACE._replace(line=line))
    with pytest.raises(CertificateError) as caught:
        read_secrets(wanted)
    assert len(caught.value.lines) == len(texts)
    for number, (name, (_, words)) in enumerate(texts.items(), 1):
        said = caught.value.lines[number - 1]
        assert said.startswith(f"f.yaml:{number}:7: {WHERE}: found ")
        assert words in said and str(tmp_path / name) in said, said
    assert isinstance(caught.value.__cause__, ConfigError)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("listeners: {web: {bind: ':443', redirect: https, tls: /no.pem}}", "1:55: listeners.web"),
        (
            "listeners: {web: {bind: ':443', redirect: https, tls: [/no.pem]}}",
            "1:56: listeners.web.tls.certificates[0]",
        ),
        (
            "pools: {app: {servers: h, tls: {ca: /no.pem, verify: on}}}",
            "1:37: pools.app.tls.ca",
        ),
        (
            "pools: {a: {servers: h, tls: {verify: off, client: {cert: /no.pem}}}}",
            "1:52: pools.a.tls.client",
        ),
        (
            "defaults: {pool: {tls: {ca: /no.pem}}}\npools: {app: {servers: h}}",
            "2:14: pools.app.tls.ca",
        ),
    ],
)
def test_the_place_is_told_that_names_the_file(text: str, place: str) -> None:
    loaded = LoadedConfig(Config.parse(text, file="f"))
    with pytest.raises(CertificateError) as caught:
        read_secrets(wanted_secrets(loaded.compile({})))
    assert str(caught.value).startswith(f"f:{place}")


def test_the_systems_authorities_are_where_the_system_has_them(tmp_path: Path) -> None:
    there = write(tmp_path / "bundle", CERTIFICATE)
    assert system_authorities((str(tmp_path / "no"), there)).files == (there,)
    assert system_authorities((str(tmp_path / "no"),)).files == (str(tmp_path / "no"),)
