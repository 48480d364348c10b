"""Certificates for tests: an authority, what it signs, and the files that configurations name."""

from __future__ import annotations

import ssl
from datetime import datetime
from pathlib import Path

import trustme


class Authority:
    """One authority with its files in a directory."""

    def __init__(self, directory: Path, name: str = "ca") -> None:
        self._directory = directory
        self._ca = trustme.CA()
        self.file = directory / f"{name}.pem"
        self._ca.cert_pem.write_to_path(str(self.file))

    def issue(self, *names: str, until: datetime | None = None) -> Path:
        """A file with key and chain for these names (or addresses)."""
        path = self._directory / f"{names[0].replace('*', 'star')}-{self.file.stem}.pem"
        issued = self._ca.issue_cert(*names, not_after=until)
        issued.private_key_and_cert_chain_pem.write_to_path(str(path))
        return path

    def client(
        self,
        version: ssl.TLSVersion | None = None,
        alpn: list[str] | None = None,
        certificate: Path | None = None,
    ) -> ssl.SSLContext:
        """What a client that trusts this authority alone shakes hands with."""
        context = ssl.create_default_context(cafile=str(self.file))
        if version is not None:
            context.minimum_version = context.maximum_version = version
        if alpn is not None:
            context.set_alpn_protocols(alpn)
        if certificate is not None:
            context.load_cert_chain(certificate)
        return context

    def server(self, certificate: Path, asks: bool = False) -> ssl.SSLContext:
        """What a server with this certificate shakes hands with; `asks` for one of the client."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        if asks:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.file)
        return context
