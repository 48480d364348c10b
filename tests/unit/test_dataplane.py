"""The door to the extension: versions, and counters as the supervisor reads them."""

import os

import pytest

from evener import EvenerError, _engine, dataplane
from evener.telemetry.totals import Totals


def test_an_extension_of_another_version_is_refused_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_engine, "__version__", "0.0.0")
    with pytest.raises(ImportError, match=r"version 0\.0\.0: install it anew"):
        dataplane.hello()
    with pytest.raises(ImportError, match="make setup"):
        dataplane.Counters([], [])


def test_a_hello_has_what_both_sides_must_agree_on() -> None:
    assert set(dataplane.hello()) == {"protocol", "build", "schema", "layout"}


def test_segments_that_nobody_has_begun_count_nothing() -> None:
    descriptor = os.memfd_create("counters", os.MFD_CLOEXEC)
    counters = dataplane.Counters([descriptor], [])
    os.close(descriptor)
    assert counters.stamps() == [0]
    assert Totals.parse(counters.totals()).starting_with("server", ()) == []


def test_a_segment_of_another_build_is_evener_s_error() -> None:
    descriptor = os.memfd_create("counters", os.MFD_CLOEXEC)
    os.write(descriptor, b"EVENERST" * 1000)
    try:
        with pytest.raises(EvenerError, match="counter layout"):
            dataplane.Counters([descriptor], []).totals()
    finally:
        os.close(descriptor)


def test_a_closed_descriptor_is_an_error() -> None:
    with pytest.raises(OSError, match="Bad file descriptor"):
        dataplane.Counters([1 << 20], [])
