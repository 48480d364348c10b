"""Times and numbers as people read them; one way of writing each, everywhere."""

import time


def ago(ms: int, now: int) -> str:
    """How long ago a point in time was: `3 min ago`. Both in milliseconds since 1970."""
    return "just now" if now - ms < 1000 else f"{span(now - ms)} ago"


def span(ms: float) -> str:
    """A length of time in its largest fitting unit."""
    if ms < 1000:
        return f"{ms:.0f} ms"
    seconds = ms / 1000
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def clock(ms: int) -> str:
    """A point in time, local, to the second."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(ms / 1000))


def count(number: int, noun: str, nouns: str = "") -> str:
    """`1 server`, `3 servers`."""
    return f"{number} {noun if number == 1 else nouns or noun + 's'}"
