"""Addresses: of servers, of listeners, and networks.

Rules kept here:
- Nothing is resolved: a host name stays a name, its addresses come in when a plan is compiled.
- An address is held in one form, so that two spellings of it are seen to be the same.
"""

from __future__ import annotations

import re
from typing import Any, Generic, NamedTuple, TypeVar

from evener.config.model import RejectError, ScalarType

SOCKET_PATH = 107
"""Bytes of a unix socket's path: sockaddr_un holds 108 with the closing zero (linux/un.h)."""

_IPV4 = re.compile(r"([0-9]{1,3})\.([0-9]{1,3})\.([0-9]{1,3})\.([0-9]{1,3})")
_NAME = re.compile(r"(?=.{1,253}$)[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?")
_SPLIT = re.compile(r"(\[[^\]]*\]|[^:\[\]]*)(?::([^:]*))?")


class ServerAddress(NamedTuple):
    """Where a server is. `host` is an IP address, a name, or the path of a unix socket.

    `kind` is `ip4`, `ip6`, `name` or `unix`; `port` is None when it was left out.
    """

    kind: str
    host: str
    port: int | None

    def with_port(self, port: int) -> ServerAddress:
        """The address with this port, if it has none of its own."""
        return self if self.port or self.kind == "unix" else self._replace(port=port)

    def __str__(self) -> str:
        if self.kind == "unix":
            return f"unix:{self.host}"
        host = f"[{self.host}]" if self.kind == "ip6" else self.host
        return host if self.port is None else f"{host}:{self.port}"


class ServerAddressType(ScalarType):
    """`10.0.0.1:80`, `[2001:db8::1]:80`, `web1:8000`, `unix:/path`; the port may be left out."""

    expected = "an address such as 10.0.0.1:80, web1:8000, [2001:db8::1]:80 or unix:/path"
    example = "10.0.0.1:80"

    def parse(self, text: str) -> ServerAddress:
        if text.startswith("unix:"):
            return ServerAddress("unix", _unix_path(text), None)
        _no_url(text)
        host, port = _split(text)
        if not host:
            if port is None:
                raise RejectError
            return ServerAddress("ip4", "127.0.0.1", port)
        kind, host = _host(host, text)
        return ServerAddress(kind, host, port)


class BindAddress(NamedTuple):
    """Where a listener listens. `host` empty is every address of the machine."""

    kind: str
    host: str
    port: int | None

    def __str__(self) -> str:
        return str(ServerAddress(*self)) if self.kind != "all" else f":{self.port}"


_Who = TypeVar("_Who")
_EVERY = {"ip4": "0.0.0.0", "ip6": "::"}
"""By family, the address that is all of the machine's."""


class Bound(Generic[_Who]):
    """Addresses that are listened on, each with who was there first."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, int | None], dict[str, tuple[BindAddress, _Who]]] = {}

    def take(
        self, address: BindAddress, who: _Who, *, shares: bool
    ) -> tuple[BindAddress, _Who] | None:
        """Who listens there already; if nobody does, this one from now on.

        Args:
            address: where it listens.
            who: who it is.
            shares: whether it may be a part of another address, or that of it: a connection is then
                the narrower one's.
        """
        hosts = _EVERY if address.kind == "all" else {address.kind: address.host}
        for kind, host in hosts.items():
            there = self._found.setdefault((kind, address.port), {})
            first = there.get(host)
            if first is None and not shares:
                whole = _EVERY.get(kind, "")
                first = next(iter(there.values()), None) if host == whole else there.get(whole)
            if first is not None:
                return first
        for kind, host in hosts.items():
            self._found[kind, address.port][host] = (address, who)
        return None


class BindAddressType(ScalarType):
    """`:80`, `0.0.0.0:80`, `[::1]:80`, `localhost:80`, `unix:/path`."""

    expected = "an address with a port, such as :80, 127.0.0.1:80, [::1]:80 or unix:/path"
    example = ":80"

    def parse(self, text: str) -> BindAddress:
        if text.startswith("unix:"):
            return BindAddress("unix", _unix_path(text), None)
        if text.startswith("fd:"):
            raise RejectError("`fd:` is planned but not built yet")
        if text.isascii() and text.isdigit():
            raise RejectError(f'write `":{text}"`')
        _no_url(text)
        host, port = _split(text)
        if port is None:
            named = bool(host) and _host(host, text)[0] == "name" and host != "localhost"
            raise RejectError("" if named else f'write the port: `"{text}:80"`')
        if host in ("", "*"):
            return BindAddress("all", "", port)
        kind, host = _host(host, text)
        if kind == "name":
            if host != "localhost":
                raise RejectError("listeners are bound to addresses, not to names")
            kind, host = "ip4", "127.0.0.1"
        return BindAddress(kind, host, port)


class Network(ScalarType):
    """A network or a single address, in CIDR form, or the word `unix`."""

    expected = "a network such as 10.0.0.0/8 or 2001:db8::/32, an address, or `unix`"
    example = "10.0.0.0/8"

    def parse(self, text: str) -> str:
        if text == "unix":
            return text
        if "%" in text:
            raise RejectError("addresses with a zone (`%eth0`) are not built yet")
        import ipaddress  # 3 ms of start-up, spent only where networks are written

        try:
            network = ipaddress.ip_network(text, strict=False)
        except ValueError:
            raise RejectError from None
        if "/" in text and str(network.network_address) != canonical_ip(text.partition("/")[0]):
            raise RejectError(f"bits beyond the prefix are set: write `{network}`")
        return str(network)


def canonical_ip(text: str) -> str:
    """The one spelling of an IP address.

    Raises:
        ValueError: the text is none.
    """
    if _IPV4.fullmatch(text):
        return text
    import ipaddress  # 3 ms of start-up, spent only where IPv6 is written

    return str(ipaddress.ip_address(text))


def _unix_path(text: str) -> str:
    path = text.removeprefix("unix:")
    if not path.startswith("/"):
        raise RejectError(f"write an absolute path: `unix:/{path}`")
    if not path.isprintable():
        # It is the server's name in tables, logs, metrics and commands.
        raise RejectError("a path without control characters")
    if len(path.encode()) > SOCKET_PATH:
        raise RejectError(f"the path of a unix socket has at most {SOCKET_PATH} bytes")
    return path


def _no_url(text: str) -> None:
    scheme, mark, rest = text.partition("://")
    if not mark:
        return
    plain = rest.partition("/")[0]
    tail = " and `protocol: https` in the pool" if scheme == "https" else ""
    raise RejectError(f"write `{plain}`{tail}", "an address without scheme and path")


def _split(text: str) -> tuple[str, int | None]:
    match = _SPLIT.fullmatch(text)
    if match is None:
        if re.search(r"[\s,;]", text):
            raise RejectError("several are a list")
        bare = text.count(":") > 1 and re.fullmatch(r"[0-9A-Fa-f:.]+(%\w+)?", text)
        raise RejectError(f"write IPv6 addresses in brackets: `[{text}]`" if bare else "")
    host, port = match.group(1), match.group(2)
    if port is None:
        return host, None
    if not (re.fullmatch("[0-9]{1,5}", port) and 1 <= int(port) <= 65535):
        raise RejectError("a port is a number from 1 to 65535")
    return host, int(port)


def _host(host: str, text: str) -> tuple[str, str]:
    match = _IPV4.fullmatch(host)
    if match is not None:
        if any(int(part) > 255 or (part[0] == "0" and part != "0") for part in match.groups()):
            raise RejectError("each part of an IPv4 address is a number from 0 to 255")
        return "ip4", host
    if host.startswith("["):
        return "ip6", _ipv6(host[1:-1])
    if not _NAME.fullmatch(host) or ".." in host or host.replace(".", "").isdigit():
        whole = host.removesuffix(".")
        dotted = whole != host and _NAME.fullmatch(whole) is not None
        raise RejectError(f"leave out the dot at the end: `{whole}`" if dotted else "")
    # Names have no case (RFC 4343): `Web1` is no second server beside `web1`.
    return "name", host.lower()


def _ipv6(text: str) -> str:
    import ipaddress  # 3 ms of start-up, spent only where IPv6 is written

    try:
        address = ipaddress.IPv6Address(text)
    except ValueError:
        raise RejectError(expected="an IPv6 address in the brackets") from None
    if address.scope_id:
        raise RejectError("addresses with a zone (`%eth0`) are not built yet")
    return str(address)


SERVER_ADDRESS = ServerAddressType()
BIND_ADDRESS = BindAddressType()
NETWORK = Network()


class ServerId(ScalarType):
    """A name of a server: what `evener server drain POOL/ID` takes."""

    expected = "a name of letters, digits and `_.:@/[]-`, at most 255 characters"
    _FORM = re.compile(r"[A-Za-z0-9_.:@/\[\]-]{1,255}")

    def parse(self, text: str) -> Any:
        if not self._FORM.fullmatch(text):
            raise RejectError
        return text


SERVER_ID = ServerId()
