"""Read certificates, keys and authorities: PEM texts for the worker, which opens no files.

Rules kept here:
- All failures at once, each with the file, the place in the configuration that names it, and why.
- Whether a chain and its key can be used is for the engine to say, before a worker is told of them.
- What is read is never logged and never shown.
Not known here: what TLS is made of them.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from evener import dataplane
from evener.compile import Secret
from evener.config import ConfigError, Place, Problem
from evener.control.errors import CertificateError

_CERTIFICATE = "-----BEGIN CERTIFICATE-----"
#: All forms end so: PKCS #8, PKCS #1 (RSA) and SEC1 (EC).
_KEY = "PRIVATE KEY-----"
# RFC 7468 section 2: text before and between the blocks is permitted, and left out.
_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----", re.DOTALL)


def read_secrets(wanted: Mapping[str, Secret]) -> dict[str, str]:
    """Secret id → PEM text.

    Raises:
        CertificateError: naming each file that cannot be used; a ConfigError is its cause.
    """
    found, problems = try_secrets(wanted)
    if problems:
        wrong = ConfigError(problems)
        raise CertificateError([str(problem) for problem in wrong.problems]) from wrong
    return found


def try_secrets(wanted: Mapping[str, Secret]) -> tuple[dict[str, str], list[Problem]]:
    """Secret id → PEM text of those that can be used, and what is wrong with the others."""
    found: dict[str, str] = {}
    problems: list[Problem] = []
    for name, secret in wanted.items():
        try:
            found[name] = _read(secret)
        except _UnusableError as error:
            problems.append(Problem(secret.place, secret.where, *error.args))
    return found, problems


class _UnusableError(Exception):
    """What was found, what was expected, and what to do."""


def _read(secret: Secret) -> str:
    text = "\n".join(_text(file) for file in secret.files) + "\n"
    named = " and ".join(f"`{file}`" for file in secret.files)
    if _CERTIFICATE not in text:
        raise _UnusableError(f"no certificate in {named}", f"PEM: {_CERTIFICATE} …", "")
    if secret.key and _KEY not in text:
        hint = "name its file as `key`"
        raise _UnusableError(f"no private key in {named}", "one beside the certificate", hint)
    if secret.key and "ENCRYPTED PRIVATE KEY-----" in text:
        hint = "Evener asks for no passphrase"
        raise _UnusableError(f"an encrypted private key in {named}", "one in the clear", hint)
    if refusal := dataplane.pem_refusal(text, key=secret.key):
        expected = "a certificate and its key" if secret.key else "certificates of authorities"
        raise _UnusableError(named, expected, refusal)
    return text


def _text(file: str) -> str:
    """What stands between the markers of a file: whatever surrounds it is for people."""
    try:
        # Every byte is a character, so that comments may be in any encoding.
        text = Path(file).read_text(encoding="latin-1")
    except OSError as error:
        got = f"`{file}`, which can't be read: {error.strerror}"
        raise _UnusableError(got, "a PEM file", "") from error
    return "\n".join(block.group() for block in _BLOCK.finditer(text))


#: Id of the secret that holds the system's authorities.
SYSTEM = "system"
#: Where distributions keep them: Debian and Alpine, Fedora and RHEL, openSUSE.
_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
)


def system_authorities(bundles: tuple[str, ...] = _BUNDLES) -> Secret:
    """The system's authorities, for pools that verify and name none."""
    present = [bundle for bundle in bundles if Path(bundle).exists()]
    files = tuple(present[:1] or bundles[:1])
    return Secret("tls.ca", files, key=False, place=Place("the system's authorities", 0, 0))
