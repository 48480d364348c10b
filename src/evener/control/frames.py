"""Frames of the control protocol (docs/design/control-protocol.md) as bytes, both ways.

Rules kept here:
- Pure: bytes come in, messages go out; nothing here holds a socket or a descriptor.
- A length is checked before anything is kept for it.
Not known here: what a message means, and how descriptors travel.
"""

import json
import struct
from typing import Any

from evener.control.errors import ProtocolError

Message = dict[str, Any]

#: Most descriptors in one frame: the kernel's SCM_MAX_FD.
MAX_DESCRIPTORS = 253
#: Most bytes of one frame's JSON text.
MAX_TEXT = 256 << 20

_HEAD = struct.Struct("<II")


def encode(message: Message, descriptors: int = 0) -> bytes:
    """One frame. `descriptors` is how many belong to it, 0 to 253."""
    if not 0 <= descriptors <= MAX_DESCRIPTORS:
        raise ProtocolError(f"a frame takes 0 to {MAX_DESCRIPTORS} descriptors, not {descriptors}")
    text = json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()
    if len(text) > MAX_TEXT:
        raise ProtocolError(f"a message of {len(text)} bytes is over the {MAX_TEXT} of a frame")
    return _HEAD.pack(len(text), descriptors) + text


class Decoder:
    """Turns pieces of a stream into messages, each with its number of descriptors."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, piece: bytes) -> list[tuple[Message, int]]:
        """The messages that `piece` completes, in order.

        Raises:
            ProtocolError: the stream is not the protocol; it cannot be read on.
        """
        self._held += piece
        found = []
        while (one := self._take()) is not None:
            found.append(one)
        return found

    def _take(self) -> tuple[Message, int] | None:
        if len(self._held) < _HEAD.size:
            return None
        length, descriptors = _HEAD.unpack_from(self._held)
        if length > MAX_TEXT or descriptors > MAX_DESCRIPTORS:
            raise ProtocolError(
                f"a frame says {length} bytes and {descriptors} descriptors, over the limits"
            )
        end = _HEAD.size + length
        if len(self._held) < end:
            return None
        text = bytes(self._held[_HEAD.size : end])
        del self._held[:end]
        return _message(text), descriptors


def _message(text: bytes) -> Message:
    try:
        message = json.loads(text)
    except ValueError as error:
        raise ProtocolError(f"a frame is not JSON: {error}") from error
    if not isinstance(message, dict):
        raise ProtocolError("a frame is not a JSON object")
    return message
