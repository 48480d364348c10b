"""Reading certificates and keys."""

from pathlib import Path

import pytest

from evener.compile import Secret
from evener.control.certificates import read_secrets, system_authorities
from evener.control.errors import CertificateError

CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
KEY = "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n"
WHERE = "listeners.web.tls.certificates[0]"


def write(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


def test_chain_and_key_become_one_text(tmp_path: Path) -> None:
    files = write(tmp_path / "cert", CERTIFICATE), write(tmp_path / "key", KEY)
    (text,) = read_secrets({"web": Secret(WHERE, files, key=True)}).values()
    assert CERTIFICATE in text and KEY in text


def test_all_that_is_wrong_is_named_at_once(tmp_path: Path) -> None:
    wanted = {
        "gone": Secret(WHERE, (str(tmp_path / "gone"),), key=True),
        "keyless": Secret(WHERE, (write(tmp_path / "c", CERTIFICATE),), key=True),
        "key only": Secret(WHERE, (write(tmp_path / "k", KEY),), key=True),
        "der": Secret(WHERE, (write(tmp_path / "d", "\xff"),), key=False),
        "locked": Secret(
            WHERE,
            (write(tmp_path / "l", CERTIFICATE + KEY.replace("PRIVATE", "ENCRYPTED PRIVATE")),),
            key=True,
        ),
    }
    with pytest.raises(CertificateError) as caught:
        read_secrets(wanted)
    said = ["No such file", "no private key", "no certificate", "not a PEM", "encrypted"]
    assert len(caught.value.lines) == len(said)
    for line, words in zip(caught.value.lines, said, strict=True):
        assert line.startswith(WHERE) and words in line and str(tmp_path) in line


def test_the_systems_authorities_are_where_the_system_has_them(tmp_path: Path) -> None:
    there = write(tmp_path / "bundle", CERTIFICATE)
    assert system_authorities((str(tmp_path / "no"), there)).files == (there,)
    assert system_authorities((str(tmp_path / "no"),)).files == (str(tmp_path / "no"),)
