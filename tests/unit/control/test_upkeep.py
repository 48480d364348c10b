"""What goes on by the clock beside the supervisor's course."""

import asyncio
from pathlib import Path

import pytest

from evener.control import upkeep
from evener.control.tickets import TicketKeys

from .scene import Scene, until

pytestmark = pytest.mark.asyncio


async def test_new_ticket_keys_reach_the_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "TICKETS", 0.001)
    scene = Scene(tmp_path)
    async with scene.serving() as supervisor:
        keys = TicketKeys(now=-1e9)
        old = keys.hex()
        turning = asyncio.create_task(upkeep.rotate_tickets(supervisor.keeper, keys))
        await until(lambda: len(scene.script.worker.told("tickets")) == 2)
        turning.cancel()
        assert scene.script.worker.told("tickets")[-1]["keys"] == keys.hex()
        assert keys.hex()[1:] == old and len(keys.hex()) == 2
