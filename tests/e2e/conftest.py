"""Fixtures of the end-to-end tests: what they start is ended here, whatever happened."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from .rig.certificates import Authority
from .rig.instance import Evener
from .rig.origin import Origin
from .rig.places import short_directory
from .rig.programs import Webs

_EVENER = pytest.StashKey[Evener]()


@pytest.fixture
def home() -> Iterator[Path]:
    """A directory with a short path."""
    with short_directory() as path:
        yield path


@pytest.fixture
def evener(home: Path, request: pytest.FixtureRequest) -> Iterator[Evener]:
    """An instance, not started."""
    instance = Evener(home)
    request.node.stash[_EVENER] = instance
    yield instance
    instance.clean_up()


@pytest.fixture
def origins() -> Iterator[Callable[..., Origin]]:
    """Makes origins; they end with the test, which fails if one of them made a mistake."""
    with ExitStack() as ends:

        def make(*arguments: Any, **named: Any) -> Origin:
            origin = Origin(*arguments, **named)
            ends.callback(origin.close)
            return origin

        yield make


@pytest.fixture
def origin(origins: Callable[..., Origin]) -> Origin:
    """One origin that answers `origin TARGET`."""
    return origins()


@pytest.fixture
def webs(home: Path) -> Iterator[Callable[..., Webs]]:
    """Makes nginx with several web servers."""
    with ExitStack() as ends:

        def make(*names: str, large: bool = False) -> Webs:
            made = Webs(home, names, large)
            ends.callback(made.process.end)
            return made

        yield make


@pytest.fixture
def ends() -> Iterator[ExitStack]:
    """What a test puts in is ended with it: `ends.callback(process.end)`."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The authority that tests trust."""
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    instance = item.stash.get(_EVENER, None)
    if report.when == "teardown":  # its files are gone with their directory
        return report
    if report.failed and instance is not None and instance.process is not None:
        report.sections.append(("evener's log", instance.process.words()[-8000:]))
    return report
