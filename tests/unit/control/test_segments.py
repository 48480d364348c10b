"""Counter segments and the watchdog over their stamps."""

import os
import resource

import pytest

from evener.control.segments import STALLED, Segments, Watchdog


def test_each_life_gets_fresh_files_and_the_old_are_kept() -> None:
    segments = Segments()
    first = list(segments.fresh(2))
    assert len(first) == 3  # the last one is the prober's
    os.write(first[0], b"counters")
    second = list(segments.fresh(2))
    assert segments.living == second and segments.retired == first
    assert os.pread(first[0], 8, 0) == b"counters"
    segments.close()


def test_a_segment_grows_and_never_shrinks() -> None:
    segments = Segments()
    descriptor = segments.fresh(1)[0]
    os.ftruncate(descriptor, 8192)
    with pytest.raises(PermissionError):
        os.ftruncate(descriptor, 4096)
    segments.close()


def test_an_unmoved_stamp_is_a_stall_after_ten_looks() -> None:
    watchdog = Watchdog()
    found = [watchdog.look([turn, 5]) for turn in range(STALLED + 1)]
    assert found[:-1] == [[]] * STALLED and found[-1] == [1]


def test_a_stamp_that_moves_now_and_then_is_no_stall() -> None:
    watchdog = Watchdog()
    assert all(watchdog.look([turn // (STALLED - 1)]) == [] for turn in range(100))


def test_a_supervisor_that_slept_blames_nobody() -> None:
    """However long it was stopped: the first look after it is one look."""
    watchdog = Watchdog()
    watchdog.look([1])
    assert watchdog.look([1]) == []
    assert watchdog.look([2]) == []


def test_of_too_many_lives_the_oldest_are_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (24, 24))
    segments = Segments()
    for _ in range(10):
        segments.fresh(1)
    segments.retire()
    assert len(segments.retired) == 6, "the last three lives"
    first = segments.retired[0]
    assert os.readlink(f"/proc/self/fd/{first}").startswith("/memfd:evener-counters-0")
    segments.close()
