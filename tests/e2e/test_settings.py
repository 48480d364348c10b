"""What single keys of the file do, where no behaviour of its own shows it."""

from __future__ import annotations

import grp
import itertools
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from .rig.certificates import Authority
from .rig.instance import Evener
from .rig.origin import Origin, Talk
from .rig.places import fresh_address
from .rig.programs import answers
from .rig.waiting import during, eventually
from .rig.wire import Wire, get


def one_pool(evener: Evener, servers: str, keys: str = "", listener: str = "") -> str:
    """A listener and a pool; `servers`, `keys` and `listener` as they stand in the file."""
    return (
        f"listeners: {{web: {{bind: '{evener.listen}', pool: app, {listener}}}}}\n"
        f"pools: {{app: {{servers: [{servers}], {keys}}}}}\n"
    )


# Of the instance ---------------------------------------------------------------------------


@pytest.mark.leaf("evener.state")
def test_a_word_is_kept_in_the_state_directory(
    evener: Evener, origins: Callable[..., Origin], home: Path
) -> None:
    one, two = origins(name="one"), origins(name="two")
    text = one_pool(evener, f"'{one.address}', '{two.address}'")
    evener.start(text, state=str(home / "kept"))
    evener.tell("server", "drain", f"app/{two.address}")
    [words] = (home / "kept").glob("instances/*/words.json")
    assert two.address in words.read_text()
    for state, word in (("kept", "draining"), ("empty", "up")):
        assert evener.stop() == 0
        evener.start(text, state=str(home / state))
        assert evener.server(f"app/{two.address}")["state"] == word, state


@pytest.mark.leaf("evener.log.to", "evener.log.level")
def test_the_log_goes_to_its_file_from_its_level_on(
    evener: Evener, origin: Origin, home: Path
) -> None:
    log = home / "evener.log"
    text = one_pool(evener, f"'{origin.address}'")
    evener.write(text, log={"to": str(log), "level": "info", "access": "off"})
    evener.launch("run", str(evener.file))
    eventually(lambda: answers(evener.listen), what="it serves")
    eventually(lambda: "serving on" in log.read_text(), what="a line in the file")
    assert "serving on" not in evener.words()
    evener.reload(text + "# once\n")
    assert "plan 2 serves" in log.read_text()
    quiet = {"to": str(log), "level": "warning", "access": "off"}
    evener.reload(text, log=quiet)
    before = log.read_text()
    evener.reload(text + "# twice\n", log=quiet)
    assert log.read_text() == before


@pytest.mark.leaf("evener.drain.tunnels")
def test_sessions_of_a_removed_listener_have_the_time_of_tunnels(
    evener: Evener, origins: Callable[..., Origin]
) -> None:
    def echo(talk: Talk) -> None:
        while piece := talk.some():
            talk.send(piece)

    other, origin = fresh_address(), origins(echo)
    pools = f"pools: {{db: ['{origin.address}']}}\n"
    stays = f"listeners: {{stays: {{bind: '{other}', protocol: tcp, pool: db}}"
    goes = f", goes: {{bind: '{evener.listen}', protocol: tcp, pool: db}}}}\n"
    evener.start(stays + goes + pools, drain={"tunnels": "1s"})
    with Wire(evener.listen) as session, Wire(other) as untouched:
        for wire in (session, untouched):
            wire.send(b"ping")
            assert wire.take(4) == b"ping"
        begun = time.monotonic()
        evener.reload(stays + "}\n" + pools)
        session.send(b"more")
        assert session.take(4) == b"more"
        assert session.closes()
        assert 0.9 <= time.monotonic() - begun <= 3.0
        untouched.send(b"last")
        assert untouched.take(4) == b"last"


# Of listeners ------------------------------------------------------------------------------


@pytest.mark.leaf("listeners.NAME.bind[].group")
def test_a_unix_listener_belongs_to_its_group(evener: Evener, origin: Origin, home: Path) -> None:
    ours = os.getgroups() if os.geteuid() else [entry.gr_gid for entry in grp.getgrall()]
    group = next((gid for gid in ours if gid != os.getegid()), os.getegid())
    path, name = home / "web.sock", grp.getgrgid(group).gr_name
    evener.start(
        f"listeners: {{web: {{bind: {{address: 'unix:{path}', group: {name}}}, pool: app}}}}\n"
        f"pools: {{app: ['{origin.address}']}}\n"
    )
    assert path.stat().st_gid == group
    assert get(f"unix:{path}").status == 200


@pytest.mark.leaf("defaults.listener", "defaults.pool", "defaults.route")
def test_defaults_hold_for_all_that_say_nothing_else(evener: Evener, origin: Origin) -> None:
    other = fresh_address()
    evener.start(
        "defaults:\n"
        "  listener: {http: {max_fields: 5}}\n"
        "  pool: {keepalive: off}\n"
        "  route: {method: GET}\n"
        "listeners:\n"
        f"  web: {{bind: '{evener.listen}', routes: [{{path: /*, pool: app}}]}}\n"
        f"  own: {{bind: '{other}', http: {{max_fields: 50}}, pool: app}}\n"
        f"pools: {{app: ['{origin.address}']}}\n"
    )
    many = [f"X-{at}: 1" for at in range(8)]
    assert get(evener.listen, "/", *many).status == 431
    assert get(other, "/", *many).status == 200
    with Wire(evener.listen) as wire:
        before = origin.connections
        assert [wire.ask("/").status for _ in range(3)] == [200] * 3
        assert origin.connections == before + 3
        assert wire.ask("/", method="DELETE").status == 404


# Of pools ----------------------------------------------------------------------------------


@pytest.mark.leaf("pools.NAME.check[].down", "pools.NAME.check[].fast", "pools.NAME.check[].rise")
def test_a_server_that_is_down_is_looked_for_at_its_own_pace(
    evener: Evener, origin: Origin
) -> None:
    origin.refuse()
    paces = "check: {tcp, every: 10m, down: 100ms, fast: 100ms, rise: 3}, passive: off"
    evener.start(one_pool(evener, f"'{origin.address}'", paces))
    name = f"app/{origin.address}"
    evener.until(name, "down")
    before = evener.metrics().value("evener_server_checks_total", result="passed")
    origin.listen()
    assert "3 " in evener.until(name, "up", within=5.0)["reason"]
    assert evener.metrics().value("evener_server_checks_total", result="passed") == before + 3
    # Up again, the next one is due in ten minutes.
    passed = evener.metrics().value("evener_server_checks_total", result="passed")
    during(
        0.5,
        lambda: evener.metrics().value("evener_server_checks_total", result="passed") == passed,
        every=0.1,
    )


@pytest.mark.leaf("pools.NAME.check[].jitter")
def test_checks_are_spread_by_their_jitter(evener: Evener, origins: Callable[..., Origin]) -> None:
    seen: list[float] = []

    def notes(talk: Talk) -> None:
        talk.request()
        seen.append(time.monotonic())
        talk.answer(b"ok")

    keys = "check: {http: /h, every: 200ms, jitter: 100%}"
    evener.start(one_pool(evener, f"'{origins(notes).address}'", keys))
    eventually(lambda: len(seen) > 14, 15.0, "checks")
    gaps = [later - earlier for earlier, later in itertools.pairwise(seen)]
    # From nothing to twice the interval; with none all are alike.
    assert max(gaps) - min(gaps) > 0.12, gaps


@pytest.mark.leaf("pools.NAME.passive.within")
@pytest.mark.parametrize(("within", "state"), [("200ms", "up"), ("1m", "ejected")])
def test_failures_are_forgotten_by_a_success_behind_their_window(
    evener: Evener, origins: Callable[..., Origin], within: str, state: str
) -> None:
    def moody(talk: Talk) -> None:
        while True:
            target = talk.request().target
            if target == "/bad":
                talk.reset()
                return
            talk.answer(f"{talk.origin.name} {target}".encode())

    one, two = origins(name="one"), origins(moody, name="two")
    keys = f"passive: {{fails: 2, within: {within}, out: 10m}}, keepalive: off"
    evener.start(one_pool(evener, f"'{one.address}', '{two.address}'", keys), shards=1)

    def until_two(target: str) -> None:
        before = len(two.requests)
        eventually(lambda: get(evener.listen, target) and len(two.requests) > before)

    until_two("/bad")
    begun = time.monotonic()
    eventually(lambda: time.monotonic() - begun > 0.3, what="the window")
    for _ in range(2):
        until_two("/good")
    until_two("/bad")
    eventually(lambda: evener.server(f"app/{two.address}")["state"] == state, 2.0, state)


@pytest.mark.leaf("pools.NAME.scheduler.as")
def test_whose_scheduler_it_is_can_be_said_and_is_shown(evener: Evener, origin: Origin) -> None:
    said = "scheduler: {name: least_conn, as: nginx}"
    evener.start(one_pool(evener, f"'{origin.address}'", said))
    assert evener.show("plan")["pools"][0]["scheduler"]["name"] == "nginx/least_conn"
    evener.write(one_pool(evener, f"'{origin.address}'", said.replace("nginx", "lvs")))
    assert evener.command("check", str(evener.file)).returncode == 2


@pytest.mark.leaf("pools.NAME.tls.client.key")
def test_our_own_key_may_stand_in_a_file_of_its_own(
    evener: Evener, origins: Callable[..., Origin], authority: Authority, home: Path
) -> None:
    tls = authority.server(authority.issue("in.example", "127.0.0.1"), asks=True)
    origin = origins(tls=tls, host="127.0.0.1")
    both = authority.issue("own.example").read_text()
    at = both.index("-----BEGIN CERTIFICATE")
    (home / "own.key").write_text(both[:at])
    (home / "own.pem").write_text(both[at:])
    own = f"client: {{cert: '{home}/own.pem', key: '{home}/own.key'}}"
    keys = f"protocol: https, tls: {{ca: '{authority.file}', {own}}}"
    evener.start(one_pool(evener, f"'{origin.address}'", keys))
    assert get(evener.listen).status == 200
