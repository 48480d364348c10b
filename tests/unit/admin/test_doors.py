"""Who comes to the Prometheus page: few at a time and none for long; and how often it is made."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import pytest
import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from evener.admin.api import FRESH, Page
from evener.admin.doors import LONGEST, MOST, bounded

Timers = list[tuple[float, asyncio.Handle]]


class Peer(asyncio.Transport):
    """A connection that says nothing; it knows whether it was ended."""

    def __init__(self) -> None:
        super().__init__()
        self.ended = 0

    def abort(self) -> None:
        self.ended += 1

    def close(self) -> None:
        self.ended += 1


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


@pytest.fixture
def timers(loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch) -> Timers:
    """What was to be called later, and after how long."""
    asked: Timers = []

    def call_later(delay: float, callback: Callable[[], object]) -> asyncio.Handle:
        asked.append((delay, asyncio.Handle(callback, (), loop)))
        return asked[-1][1]

    monkeypatch.setattr(loop, "call_later", call_later)
    return asked


def come(count: int, loop: asyncio.AbstractEventLoop) -> list[tuple[H11Protocol, Peer]]:
    """So many connections to one page."""
    kind, config, state = bounded(), uvicorn.Config(Starlette()), ServerState()
    config.load()
    made = [(kind(config, state, {}, loop), Peer()) for _ in range(count)]
    for protocol, peer in made:
        protocol.connection_made(peer)
    return made


def test_one_more_than_may_be_there_ends_the_oldest(loop: asyncio.AbstractEventLoop) -> None:
    made = come(MOST + 2, loop)
    assert [peer.ended for _, peer in made] == [1, 1] + [0] * MOST


def test_a_connection_ends_when_its_time_is_over(
    loop: asyncio.AbstractEventLoop, timers: Timers
) -> None:
    [(_, peer)] = come(1, loop)
    [(after, timer)] = timers
    assert (after, peer.ended) == (LONGEST, 0)
    timer._run()
    assert peer.ended == 1


def test_the_time_of_one_that_has_left_is_forgotten(
    loop: asyncio.AbstractEventLoop, timers: Timers
) -> None:
    [(protocol, _)] = come(1, loop)
    protocol.connection_lost(None)
    [(_, timer)] = timers
    assert timer.cancelled()


def test_strangers_have_a_page_made_no_more_often_than_it_is_fresh_for() -> None:
    made = iter(("one", "two"))
    page = Page(lambda: next(made))
    times = (5.0, 5.0, 5.0 + 0.9 * FRESH, 5.0 + FRESH, 5.0 + 1.9 * FRESH)
    assert [page.at(now) for now in times] == ["one", "one", "one", "two", "two"]
