"""Run directories of a test, and the instances that are started in them."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from evener.control import instance

from .instances import Living


@pytest.fixture
def places(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Path]]:
    """The places where instances are looked for, all of this test's own, with short paths: sockets
    have room in them."""
    with TemporaryDirectory() as own:
        found = [Path(own, "run", "evener"), Path(own, "own", "evener")]
        monkeypatch.setattr(instance, "_places", lambda: found)
        for place in found:
            place.parent.mkdir()
        yield found


@pytest.fixture
def living() -> Iterator[Living]:
    started: Living = []
    yield started
    for directory, sock in started:
        sock.close()
        directory.release()
