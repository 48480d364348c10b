"""Read certificates, keys and authorities: PEM texts for the worker, which opens no files.

Rules kept here:
- All failures at once, each with the file, the place in the configuration that names it, and why.
- What is read is never logged and never shown.
Not known here: whether a key fits its certificate; the worker says so when it builds the plan.
"""

from collections.abc import Mapping
from pathlib import Path

from evener.compile import Secret
from evener.control.errors import CertificateError

_CERTIFICATE = "-----BEGIN CERTIFICATE-----"
#: All forms end so: PKCS #8, PKCS #1 (RSA) and SEC1 (EC).
_KEY = "PRIVATE KEY-----"


def read_secrets(wanted: Mapping[str, Secret]) -> dict[str, str]:
    """Secret id → PEM text.

    Raises:
        CertificateError: naming each file that cannot be used.
    """
    found: dict[str, str] = {}
    failed: list[str] = []
    for name, secret in wanted.items():
        try:
            found[name] = _read(secret)
        except _UnusableError as error:
            failed.append(f"{secret.where}: {error}")
    if failed:
        raise CertificateError(failed)
    return found


class _UnusableError(Exception):
    pass


def _read(secret: Secret) -> str:
    text = "\n".join(_text(file) for file in secret.files) + "\n"
    named = " and ".join(secret.files)
    if _CERTIFICATE not in text:
        raise _UnusableError(f"{named}: no certificate in it (PEM, {_CERTIFICATE})")
    if secret.key and _KEY not in text:
        raise _UnusableError(f"{named}: no private key in it (PEM); name its file as `key`")
    if secret.key and "ENCRYPTED PRIVATE KEY-----" in text:
        raise _UnusableError(
            f"{named}: the private key is encrypted; Evener asks for no passphrase"
        )
    return text


def _text(file: str) -> str:
    try:
        return Path(file).read_text(encoding="ascii")
    except UnicodeDecodeError:
        raise _UnusableError(f"{file}: not a PEM text") from None
    except OSError as error:
        raise _UnusableError(f"{file}: {error.strerror}") from error


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
    return Secret("the system's authorities", tuple(present[:1] or bundles[:1]), key=False)
