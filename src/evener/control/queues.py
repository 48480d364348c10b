"""How many connections wait to be accepted: the kernel's queues of listening sockets.

Rules kept here:
- The kernel is asked, nothing is counted here; a kernel that does not answer is silence, not 0.
Not known here: why nobody accepts, and at which number that is a problem.

Sources: tcp(7), `TCP_INFO`: of a listening socket `tcpi_unacked` is the length of its queue (Linux,
net/ipv4/tcp.c, `tcp_get_info`). sock_diag(7), `UNIX_DIAG_RQLEN`: of a listening socket
`udiag_rqueue` is the number of pending connections.
"""

import os
import socket
import struct
from collections.abc import Iterable

from evener.control.sockets import Group

#: Where `tcpi_unacked` stands in `struct tcp_info`: behind eight bytes and four words.
_UNACKED = 24
_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_REQUEST = 1
_SHOW_RQLEN = 0x10
_RQLEN = 4
_HEADER, _MESSAGE = 16, 16
_NO_COOKIE = 0xFFFFFFFF


def queued(groups: Iterable[Group]) -> dict[str, int]:
    """Address in the plan → connections that wait for somebody to accept them."""
    waiting: dict[str, int] = {}
    for group in groups:
        counts = [_waiting(sock) for _, sock in group.sockets]
        waiting[group.bind.address] = sum(count for count in counts if count is not None)
    return waiting


def _waiting(sock: socket.socket) -> int | None:
    try:
        return _unix(sock) if sock.family == socket.AF_UNIX else _tcp(sock)
    except OSError:
        return None


def _tcp(sock: socket.socket) -> int:
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _UNACKED + 4)
    return int(struct.unpack_from("=I", info, _UNACKED)[0])


def _unix(sock: socket.socket) -> int | None:
    inode = os.fstat(sock.fileno()).st_ino
    every_state = 0xFFFFFFFF
    ask = struct.pack(
        "=BBHIIIII", socket.AF_UNIX, 0, 0, every_state, inode, _SHOW_RQLEN, _NO_COOKIE, _NO_COOKIE
    )
    head = struct.pack("=IHHII", _HEADER + len(ask), _SOCK_DIAG_BY_FAMILY, _REQUEST, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as link:
        link.settimeout(1)
        link.send(head + ask)
        answer = link.recv(4096)
    kind = struct.unpack_from("=H", answer, 4)[0]
    return _rqueue(answer[_HEADER + _MESSAGE :]) if kind == _SOCK_DIAG_BY_FAMILY else None


def _rqueue(attributes: bytes) -> int | None:
    while len(attributes) >= 8:
        length, kind = struct.unpack_from("=HH", attributes)
        if kind == _RQLEN:
            return int(struct.unpack_from("=I", attributes, 4)[0])
        attributes = attributes[max(4, (length + 3) & ~3) :]
    return None
