"""What systemd is told: ready, reloading, stopping, and one line of status.

Rules kept here:
- Silent when not started by systemd; a lost datagram is never an error of ours.
Source: sd_notify(3). No library: it is one datagram.
"""

import os
import socket


def notify(*lines: str) -> bool:
    """Sends lines such as `READY=1`. False when there is nobody to tell."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            sock.sendto("\n".join(lines).encode(), address)
    except OSError:
        return False
    return True
