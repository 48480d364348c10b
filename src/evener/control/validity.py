"""Read from a certificate when it ends.

Rules kept here:
- Only that is read: whether a certificate is good is the worker's to judge.
- Whatever the bytes are, the answer is a time or none.
Source: RFC 5280 §4.1 (the fields and their order), X.690 §8.1 (tag, length, contents).
"""

import re
import ssl
from datetime import UTC, datetime

_PEM = re.compile(
    "-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----"  # the chain's first is our own
)
_VERSION, _UTC_TIME = 0xA0, 0x17


def ends(pem: str) -> float | None:
    """When the first certificate of a text ends, in seconds since 1970; None if that is no date."""
    try:
        found = _PEM.search(pem)
        return _not_after(ssl.PEM_cert_to_DER_cert(found[0])) if found else None
    except (ValueError, IndexError):
        return None


def _not_after(der: bytes) -> float:
    _, certificate, _ = _field(der, 0)
    _, signed, _ = _field(certificate, 0)
    tag, _, at = _field(signed, 0)
    # Before the validity: the version, which may be left out, serial, signature and issuer.
    for _ in range(3 if tag == _VERSION else 2):
        _, _, at = _field(signed, at)
    _, validity, _ = _field(signed, at)
    _, _, at = _field(validity, 0)
    tag, text, _ = _field(validity, at)
    return _seconds(text.decode("ascii"), tag == _UTC_TIME)


def _field(data: bytes, at: int) -> tuple[int, bytes, int]:
    """Tag and contents of the field at a place, and the place behind it."""
    tag, length, begin = data[at], data[at + 1], at + 2
    if length & 0x80:
        count = length & 0x7F
        length, begin = int.from_bytes(data[begin : begin + count], "big"), begin + count
    if begin + length > len(data):
        raise ValueError("a field ends behind its certificate")
    return tag, data[begin : begin + length], begin + length


def _seconds(text: str, two_digits: bool) -> float:
    """RFC 5280 §4.1.2.5: of two digits, 50 to 99 are of the last century."""
    if two_digits:
        text = ("19" if text[:2] >= "50" else "20") + text
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp()
