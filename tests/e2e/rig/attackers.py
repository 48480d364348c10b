"""Attackers by the thousand: `python -m tests.e2e.rig.attackers CLASS ADDRESS COUNT [RATE]`.

Rules kept here:
- A class is what each connection says at once and what it says every second after that; with an
  address `tls:…` after a handshake, whoever answers.
- Nobody comes back: whoever was shed stays away, so that what is left can be counted.
- `ready BYTES` on stdout: all are connected and have said so many bytes. It ends with its stdin.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

HEAD = b"GET /small HTTP/1.1\r\nHost: a.test\r\n"
TINY = b"1\r\nx\r\n"
#: What a socket says that would wait, bare or under TLS.
NOT_NOW = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
ANYBODY = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
ANYBODY.check_hostname = False
ANYBODY.verify_mode = ssl.CERT_NONE


@dataclass(frozen=True)
class Manner:
    """What one attacker does.

    Attributes:
        first: Sent at once.
        drip: Sent every second.
        reads: Bytes read every second; None is all there is.
        window: Size asked for the receive buffer.
        ends: Ends its direction after the first bytes.
    """

    first: bytes = b""
    drip: bytes = b""
    reads: int | None = None
    window: int | None = None
    ends: bool = False


MANNERS = {
    "slow_heads": Manner(HEAD, b"x"),
    "slow_bodies": Manner(
        b"POST /up HTTP/1.1\r\nHost: a.test\r\nContent-Length: 60000\r\n\r\nx", b"x"
    ),
    "tiny_chunks": Manner(
        b"POST /up HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n" + TINY, TINY
    ),
    "slow_readers": Manner(b"GET /large HTTP/1.1\r\nHost: a.test\r\n\r\n", reads=1, window=4096),
    "slow_pipelined_readers": Manner(
        b"GET /large HTTP/1.1\r\nHost: a.test\r\n\r\n" * 3, reads=6, window=4096
    ),
    "idle_hoard": Manner(HEAD + b"\r\n"),
    "silent": Manner(),
    "half_closed": Manner(HEAD + b"\r\n", ends=True),
    "half_closed_heads": Manner(HEAD, ends=True),
    "header_flood": Manner(HEAD + b"".join(b"X-%d: %d\r\n" % (at, at) for at in range(90)), b"y"),
    "pipelined": Manner((HEAD + b"\r\n") * 20, reads=0, window=4096),
    "stalled_tls": Manner(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b""),
    "dripping_tls": Manner(b"\x16\x03\x01\x02\x00\x01", b"\x00"),
}


def connect(address: str, manner: Manner) -> socket.socket | None:
    """One attacker's connection, its first bytes said."""
    unix = address.startswith("unix:")
    sock = socket.socket(socket.AF_UNIX if unix else socket.AF_INET)
    if manner.window is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, manner.window)
    host, _, port = address.removeprefix("tls:").rpartition(":")
    sock.settimeout(10)
    try:
        sock.connect(address.removeprefix("unix:") if unix else (host, int(port)))
        if address.startswith("tls:"):
            sock = ANYBODY.wrap_socket(sock, server_hostname="web.test")
        sock.sendall(manner.first)
        if manner.ends:
            sock.shutdown(socket.SHUT_WR)
    except OSError:
        sock.close()
        return None
    sock.setblocking(False)
    return sock


def second(sock: socket.socket, manner: Manner) -> bool:
    """What one does every second; false once it was shed."""
    try:
        if manner.reads != 0:
            with contextlib.suppress(*NOT_NOW):
                if not sock.recv(manner.reads or 65536):
                    return False
        if manner.drip:
            sock.send(manner.drip)
    except NOT_NOW:
        return True
    except OSError:
        return False
    return True


def leave_at_once(address: str) -> None:
    """Connects and leaves for as long as somebody wants it."""
    said = False
    while not select.select([sys.stdin], [], [], 0)[0]:
        for at in range(200):
            if sock := connect(address, Manner(HEAD if at % 2 else b"")):
                sock.close()
        if not said:
            print("ready 0", flush=True)
            said = True


def arrive(address: str, manner: Manner, count: int, rate: float) -> Iterator[socket.socket]:
    """So many come, so many a second at most."""
    began = time.monotonic()
    for at in range(count):
        early = began + at / rate - time.monotonic()
        if early > 0 and select.select([sys.stdin], [], [], early)[0]:
            return
        if (sock := connect(address, manner)) is not None:
            yield sock


def main() -> None:
    """CLASS ADDRESS COUNT, and how many come a second (as fast as they can)."""
    kind, address, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    if kind == "leavers":
        return leave_at_once(address)
    manner = MANNERS[kind]
    rate = float(sys.argv[4]) if len(sys.argv) > 4 else float("inf")
    socks = list(arrive(address, manner, count, rate))
    print(f"ready {len(socks) * len(manner.first)}", flush=True)
    while not select.select([sys.stdin], [], [], 0)[0]:
        began = time.monotonic()
        left = []
        for sock in socks:
            if second(sock, manner):
                left.append(sock)
            else:
                sock.close()
        socks = left
        rest = began + 1 - time.monotonic()
        if rest > 0 and select.select([sys.stdin], [], [], rest)[0]:
            return None
    return None


if __name__ == "__main__":
    main()
