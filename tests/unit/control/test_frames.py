"""Frames of the control protocol as bytes, cut anywhere and broken in every way."""

import json
import struct

import pytest

from evener.control.errors import ProtocolError
from evener.control.frames import MAX_DESCRIPTORS, MAX_TEXT, Decoder, encode


def test_a_frame_is_its_length_its_descriptors_and_its_text() -> None:
    assert encode({"id": 1}, 2) == b"\x08\x00\x00\x00\x02\x00\x00\x00" + b'{"id":1}'


def test_messages_come_whole_however_the_stream_is_cut() -> None:
    stream = encode({"a": "ü"}) + encode({"b": [1, 2]}, 3) + encode({})
    wanted = [({"a": "ü"}, 0), ({"b": [1, 2]}, 3), ({}, 0)]
    for size in range(1, len(stream) + 1):
        decoder = Decoder()
        pieces = [stream[at : at + size] for at in range(0, len(stream), size)]
        assert [one for piece in pieces for one in decoder.feed(piece)] == wanted


@pytest.mark.parametrize(
    "stream",
    [
        struct.pack("<II", MAX_TEXT + 1, 0),
        struct.pack("<II", 2, MAX_DESCRIPTORS + 1) + b"{}",
        struct.pack("<II", 3, 0) + b"[1]",
        struct.pack("<II", 1, 0) + b"{",
        struct.pack("<II", 1, 0) + b"\xff",
    ],
    ids=["too long", "too many descriptors", "no object", "no JSON", "no text"],
)
def test_what_is_no_frame_is_an_error(stream: bytes) -> None:
    with pytest.raises(ProtocolError):
        Decoder().feed(stream)


def test_too_many_descriptors_are_refused_before_they_are_sent() -> None:
    with pytest.raises(ProtocolError, match="253"):
        encode({}, MAX_DESCRIPTORS + 1)


def test_text_is_json_with_its_own_letters() -> None:
    assert json.loads(encode({"reason": "Zeitüberschreitung"})[8:]) == {
        "reason": "Zeitüberschreitung"
    }
