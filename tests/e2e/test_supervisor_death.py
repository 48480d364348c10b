"""A supervisor that hangs or dies takes nothing along: traffic and checks go on."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

from .rig.checking import CheckingClient
from .rig.instance import Evener
from .rig.origin import Origin
from .rig.processes import exists
from .rig.programs import Webs, Wrk
from .rig.waiting import eventually
from .rig.wire import get


def checked(evener: Evener, *servers: str) -> str:
    return (
        f"listeners: {{web: {{bind: '{evener.listen}', pool: app}}}}\n"
        f"pools: {{app: {{servers: [{', '.join(repr(each) for each in servers)}],"
        f" check: {{http: /health, every: 100ms, timeout: 1s}}, passive: off}}}}\n"
    )


def out_and_back(evener: Evener, origins: list[Origin]) -> None:
    """Has one server fail its checks and pass them again, and sees it in the answers alone."""
    stays, fails = origins
    fails.refuse()

    def only_one() -> bool:
        return {get(evener.listen).body.split()[0] for _ in range(6)} == {stays.name.encode()}

    eventually(only_one, what=f"{fails.name} is out")
    fails.listen()

    def both() -> bool:
        return len({get(evener.listen).body.split()[0] for _ in range(6)}) == 2

    eventually(both, what=f"{fails.name} is back")


def test_traffic_and_checks_go_on_while_the_supervisor_is_stopped(
    evener: Evener, origins: Callable[..., Origin]
) -> None:
    servers = [origins(name="one"), origins(name="two")]
    evener.start(checked(evener, *(each.address for each in servers)))
    evener.signal(signal.SIGSTOP)
    out_and_back(evener, servers)
    evener.signal(signal.SIGCONT)
    eventually(lambda: evener.status()["worker"]["deaths"] == 0, what="it answers again")
    assert evener.server(f"app/{servers[1].address}")["state"] == "up"


def test_traffic_and_checks_go_on_after_the_supervisors_death(
    evener: Evener, origins: Callable[..., Origin]
) -> None:
    servers = [origins(name="one"), origins(name="two")]
    evener.start(checked(evener, *(each.address for each in servers)))
    worker = evener.worker
    evener.signal(signal.SIGKILL)
    evener.own().ended()
    out_and_back(evener, servers)
    assert exists(worker)


def test_the_supervisors_death_costs_no_answer(
    evener: Evener, webs: Callable[..., Webs], home: Path
) -> None:
    nginx = webs("a", "b")
    evener.start(checked(evener, nginx["a"], nginx["b"]))
    worker = evener.worker
    wrk = Wrk(home, evener.listen, 3)
    with CheckingClient(evener.listen) as client:
        eventually(lambda: client.account.answered > 50, what="load")
        evener.signal(signal.SIGKILL)
        evener.own().ended()
        at = client.account.answered
        eventually(lambda: client.account.answered > at + 500, what="answers go on")
        report = wrk.report()
        account = client.stop()
    assert not account.anomalies, account.anomalies
    assert not any(report[kind] for kind in ("status", "connect", "read", "write", "timeout"))
    os.kill(worker, 0)


def test_a_new_supervisor_takes_over_the_address_from_the_worker_of_a_dead_one(
    evener: Evener, origins: Callable[..., Origin]
) -> None:
    one, two = origins(name="one"), origins(name="two")
    evener.start(checked(evener, one.address))
    old = evener.worker
    evener.signal(signal.SIGKILL)
    evener.own().ended()
    evener.start(checked(evener, two.address))
    assert evener.worker != old
    eventually(lambda: not exists(old), what="the earlier worker has drained and ended")
    assert get(evener.listen).body.startswith(b"two")


def test_a_worker_that_hangs_when_a_new_supervisor_comes_is_replaced(
    evener: Evener, origins: Callable[..., Origin]
) -> None:
    server = origins(name="one")
    evener.start(checked(evener, server.address))
    worker = evener.worker
    os.kill(worker, signal.SIGSTOP)
    evener.signal(signal.SIGKILL)
    evener.own().ended()
    evener.start()
    eventually(lambda: not exists(worker), what="the one that hung is gone")
    # What waited in its queue has gone with it; from now on nobody's connection gets there.
    assert get(evener.listen).body.split()[0] == b"one"
    assert f"an earlier worker (pid {worker}) does not answer" in evener.words()
