"""When a certificate ends."""

import base64
import datetime

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from evener.control.validity import ends


def certificate(until: datetime.datetime) -> str:
    issued = trustme.CA().issue_cert("a.example", not_after=until)
    return issued.private_key_and_cert_chain_pem.bytes().decode()


@pytest.mark.parametrize("year", [1999, 2027, 2049, 2050, 9999])
def test_the_end_is_read_in_either_form(year: int) -> None:
    until = datetime.datetime(year, 3, 4, 5, 6, 7, tzinfo=datetime.UTC)
    before = datetime.datetime(1990, 1, 1, tzinfo=datetime.UTC)
    issued = trustme.CA().issue_cert("a.example", not_before=before, not_after=until)
    assert ends(issued.private_key_and_cert_chain_pem.bytes().decode()) == until.timestamp()


def test_the_first_of_a_chain_is_ours() -> None:
    until = datetime.datetime(2030, 1, 1, tzinfo=datetime.UTC)
    other = datetime.datetime(2031, 1, 1, tzinfo=datetime.UTC)
    assert ends(certificate(until) + certificate(other)) == until.timestamp()


@pytest.mark.parametrize(
    "text", ["", "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----"]
)
def test_what_is_no_certificate_has_no_end(text: str) -> None:
    assert ends(text) is None


@given(st.binary(max_size=200))
def test_any_bytes_have_an_end_or_none(data: bytes) -> None:
    body = base64.b64encode(data).decode()
    ends(f"-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n")


def test_a_certificate_cut_anywhere_has_an_end_or_none() -> None:
    pem = certificate(datetime.datetime(2030, 1, 1, tzinfo=datetime.UTC))
    body = pem.partition("-----BEGIN CERTIFICATE-----")[2].partition("-----END")[0]
    der = base64.b64decode(body)
    for length in range(len(der)):
        cut = base64.b64encode(der[:length]).decode()
        assert ends(f"-----BEGIN CERTIFICATE-----\n{cut}\n-----END CERTIFICATE-----\n") is None
