"""One schedule of requests, played to nginx or HAProxy and to a running Evener: equal picks."""

from __future__ import annotations

import asyncio

import pytest

from tests.conformance.peers import main


@pytest.mark.alone
@pytest.mark.timeout(900)
def test_a_running_evener_picks_as_the_programs_do() -> None:
    # A look: `python -m tests.conformance.peers --engine` plays a thousand picks with five seeds.
    assert asyncio.run(main(60, [7], "", engine=True)) == 0
