"""Run directories of a test, and the instances that are started in them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from evener.control import instance

from .instances import Living


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The places where instances are looked for, all of this test's own."""
    found = [tmp_path / "run" / "evener", tmp_path / "own" / "evener"]
    monkeypatch.setattr(instance, "_places", lambda: found)
    for place in found:
        place.parent.mkdir()
    return found


@pytest.fixture
def living() -> Iterator[Living]:
    started: Living = []
    yield started
    for directory, sock in started:
        sock.close()
        directory.release()
