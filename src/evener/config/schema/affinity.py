"""`pools.NAME.affinity`: what makes a client stay with its server."""

from __future__ import annotations

import ipaddress
from collections.abc import Container
from typing import Any, Final

from evener.config.kinds import ListOf, Section
from evener.config.model import Fail, RejectError, ScalarType, key, section
from evener.config.scalars import Duration


class Mask(ScalarType):
    """A mask of addresses, held as (family's bits, leading bits): (32, 24), (128, 64)."""

    expected = "a mask such as 255.255.255.0 or ffff:ffff:ffff:ffff::"
    example = "255.255.255.0"

    def parse(self, text: str) -> tuple[int, int]:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            raise RejectError from None
        width = address.max_prefixlen
        bits = f"{int(address):0{width}b}"
        if "01" in bits:
            raise RejectError("the ones stand before the zeros")
        return width, bits.count("1")

    def write(self, value: Any) -> str:
        width, leading = value
        number = ((1 << leading) - 1) << (width - leading)
        kind = ipaddress.IPv4Address if width == 32 else ipaddress.IPv6Address
        return str(kind(number))


@section(main="for")
class ClientIp:
    """A client's address, or its network, stays with its server."""

    for_: int = key(
        Duration(1000),
        "How long after its last new connection (ipvsadm's -p).",
        default="6m",
        reason="the kernel's own, whatever its manual says",
        name="for",
    )
    mask: tuple[tuple[int, int], ...] = key(
        ListOf(Mask(), "masks, one for each family", least=0),
        "What of an address is one client (ipvsadm's -M); one for IPv4, one for IPv6.",
        default=[],
        reason="each address is a client of its own",
        example="255.255.255.0",
    )

    def judge(self, fail: Fail, written: Container[str]) -> None:
        """Rules between its keys."""
        widths = [width for width, _ in self.mask]
        if len(widths) != len(set(widths)):
            fail("mask", "two masks of one family", "one for IPv4 and one for IPv6", "")

    def prefix(self, width: int) -> int:
        """Leading bits of an address of this width that are one client."""
        return dict(self.mask).get(width, width)


@section(kinds="client_ip", planned="cookie header learn")
class Affinity:
    """What makes a client stay with its server."""

    client_ip: ClientIp = key(
        Section(ClientIp, "a time, or {for, mask}"),
        "By its address: IPVS's persistence templates, as the kernel has them.",
        example="{for: 5m, mask: 255.255.255.0}",
    )


AFFINITY: Final = Section(Affinity, "a kind of affinity such as {client_ip: 5m}")
