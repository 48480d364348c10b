"""TLS ticket keys: made here and rotated, so that every worker opens every other's tickets.

Rules kept here:
- The newest key seals, all kept ones open; a key opens for one rotation after it last sealed.
- Keys live in memory only: a restart of the supervisor costs full handshakes, never secrets.
Source: RFC 5077 section 5.5 (keys are changed regularly and kept from disk).
"""

import secrets
from collections.abc import Callable

#: Bytes of a key, as the control protocol has it: 16 of name, 32 of AES-256 key.
SIZE = 48
#: Seconds a key seals. The keys of CONFIG.md's `tickets.rotate` default.
ROTATE = 12 * 3600.0
#: The sealing key and the one before it.
KEPT = 2


class TicketKeys:
    """The keys in force, the newest first. `now` is in seconds of any steady clock."""

    def __init__(self, now: float, draw: Callable[[int], bytes] = secrets.token_bytes) -> None:
        self._draw = draw
        self._keys = [draw(SIZE)]
        self.rotated = now

    def rotate(self, now: float) -> bool:
        """Makes a new sealing key if it is time. True when the keys have changed."""
        if now - self.rotated < ROTATE:
            return False
        self._keys = [self._draw(SIZE), *self._keys][:KEPT]
        self.rotated = now
        return True

    def hex(self) -> list[str]:
        """The keys in the form of the `tickets` command."""
        return [key.hex() for key in self._keys]
