"""Attackers by the thousand: `python -m tests.e2e.rig.attackers CLASS ADDRESS COUNT`.

Rules kept here:
- A class is what each connection says at once and what it says every second after that.
- Nobody comes back: whoever was shed stays away, so that what is left can be counted.
- `ready BYTES` on stdout: all are connected and have said so many bytes. It ends with its stdin.
"""

from __future__ import annotations

import contextlib
import select
import socket
import sys
import time
from dataclasses import dataclass

HEAD = b"GET /small HTTP/1.1\r\nHost: a.test\r\n"
TINY = b"1\r\nx\r\n"


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
    host, _, port = address.rpartition(":")
    sock.settimeout(10)
    try:
        sock.connect(address.removeprefix("unix:") if unix else (host, int(port)))
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
            with contextlib.suppress(BlockingIOError):
                if not sock.recv(manner.reads or 65536):
                    return False
        if manner.drip:
            sock.send(manner.drip)
    except BlockingIOError:
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


def main() -> None:
    """CLASS ADDRESS COUNT."""
    kind, address, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    if kind == "leavers":
        return leave_at_once(address)
    manner = MANNERS[kind]
    socks = [sock for _ in range(count) if (sock := connect(address, manner)) is not None]
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
