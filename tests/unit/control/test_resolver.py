"""Host names of servers."""

import threading

import pytest

from evener.control.resolver import Resolver, in_thread

pytestmark = pytest.mark.asyncio


async def test_answers_are_sorted_and_single() -> None:
    resolver = Resolver(lambda name: ["10.0.0.2", "10.0.0.1", "10.0.0.2"])
    await resolver.resolve({"web"})
    assert resolver.answers() == {"web": ("10.0.0.1", "10.0.0.2")}


async def test_a_failure_keeps_the_last_answer_and_is_told() -> None:
    failing = False

    def ask(name: str) -> list[str]:
        if failing:
            raise OSError(-3, "Temporary failure in name resolution")
        return ["10.0.0.1"]

    resolver = Resolver(ask)
    await resolver.resolve({"web"})
    failing = True
    await resolver.resolve({"web"})
    assert resolver.answers() == {"web": ("10.0.0.1",)}
    assert resolver.failures == {"web": "Temporary failure in name resolution"}
    failing = False
    await resolver.resolve({"web"})
    assert resolver.failures == {}


async def test_a_slow_name_holds_up_nothing_and_is_taken_when_it_comes() -> None:
    answer = threading.Event()

    def ask(name: str) -> list[str]:
        if name == "slow":
            answer.wait(5)
        return ["10.0.0.1"]

    resolver = Resolver(ask)
    # The quick one answers first, however slow the machine: patience is for the other alone.
    await resolver.resolve({"quick"})
    await resolver.resolve({"slow", "quick"}, patience=0.01)
    assert resolver.answers() == {"quick": ("10.0.0.1",)}
    assert resolver.pending and "no answer" in resolver.failures["slow"]
    answer.set()
    await resolver.resolve({"slow", "quick"}, patience=5)
    assert "slow" in resolver.answers() and resolver.failures == {}


async def test_a_name_no_longer_used_is_forgotten() -> None:
    resolver = Resolver(lambda name: ["10.0.0.1"])
    await resolver.resolve({"a", "b"})
    await resolver.resolve({"c"})
    assert set(resolver.answers()) == {"a", "b", "c"}, "who asks does not know who else does"
    resolver.keep_only({"b"})
    assert set(resolver.answers()) == {"b"}


async def test_at_most_sixteen_are_asked_at_once() -> None:
    asked, most, lock = 0, 0, threading.Lock()
    release = threading.Event()

    def ask(name: str) -> list[str]:
        nonlocal asked, most
        with lock:
            asked += 1
            most = max(most, asked)
            if asked == 16:
                release.set()
        release.wait(5)
        with lock:
            asked -= 1
        return []

    await Resolver(ask).resolve({f"name{number}" for number in range(40)}, patience=5)
    assert most == 16


async def test_what_a_thread_raises_is_raised() -> None:
    def work() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await in_thread(work)
