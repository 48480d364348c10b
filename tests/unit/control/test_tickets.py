"""TLS ticket keys: which seals, which opens, and when they change."""

import itertools

from evener.control.tickets import ROTATE, SIZE, TicketKeys


def keys(now: float) -> TicketKeys:
    counter = itertools.count(1)
    return TicketKeys(now, lambda size: bytes([next(counter)]) * size)


def test_a_key_has_forty_eight_bytes_and_is_random() -> None:
    one, other = TicketKeys(0.0).hex()[0], TicketKeys(0.0).hex()[0]
    assert len(one) == 2 * SIZE == 96 and one != other


def test_the_newest_seals_and_the_one_before_still_opens() -> None:
    made = keys(0.0)
    assert not made.rotate(ROTATE - 1)
    assert made.rotate(ROTATE)
    assert [key[:2] for key in made.hex()] == ["02", "01"]
    assert not made.rotate(ROTATE + 1)
    assert made.rotate(2 * ROTATE)
    assert [key[:2] for key in made.hex()] == ["03", "02"]
