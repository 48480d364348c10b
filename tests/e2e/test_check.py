"""What `check` says is what a reload says, and a reload that is refused changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from .rig.certificates import Authority
from .rig.instance import Evener
from .rig.origin import Origin
from .rig.wire import get


def app(evener: Evener, origin: Origin, listener: str = "", pool: str = "") -> str:
    """A listener and a pool, with further keys as they stand in the file."""
    return (
        f"listeners: {{web: {{bind: '{evener.listen}', pool: app{listener}}}}}\n"
        f"pools: {{app: {{servers: ['{origin.address}']{pool}}}}}\n"
    )


def refused(evener: Evener) -> str:
    """What a reload says that is refused, as `check` does."""
    checked = evener.command("check", str(evener.file))
    reloaded = evener.command("reload", "--run", str(evener.run))
    assert (checked.returncode, reloaded.returncode) == (2, 1), checked.stderr + reloaded.stderr
    where = f"{evener.file}:"
    places = {word.rstrip(":,") for word in checked.stderr.split() if word.startswith(where)}
    assert places and all(place in reloaded.stderr for place in places), reloaded.stderr
    return reloaded.stderr


@pytest.mark.parametrize("text", ["", "# all of it\n", "listeners: {}\n"])
def test_a_file_that_was_emptied_takes_nothing_down(
    evener: Evener, origin: Origin, text: str
) -> None:
    evener.start(app(evener, origin))
    evener.write_whole(text)
    assert "found no" in refused(evener)
    assert get(evener.listen).status == 200
    assert evener.show("status")["plan"]["generation"] == 1


def test_a_configuration_that_a_start_would_refuse_is_refused_before(
    evener: Evener, origin: Origin, authority: Authority, home: Path
) -> None:
    evener.start(app(evener, origin))
    one, other = authority.issue("a.example").read_text(), authority.issue("b.example").read_text()
    begin = one.index("-----BEGIN CERTIFICATE")
    (home / "cert.pem").write_text(one[begin:])
    (home / "key.pem").write_text(other[: other.index("-----BEGIN CERTIFICATE")])
    pair = f"{{cert: {home}/cert.pem, key: {home}/key.pem}}"
    wrong: dict[str, tuple[str, dict[str, object]]] = {
        "another certificate": (app(evener, origin, f", tls: [{pair}]"), {}),
        "unclosed group": (app(evener, origin, ", routes: [{path: {regex: '('}, pool: app}]"), {}),
        "an http check": (app(evener, origin, pool=", protocol: fastcgi, check: {http: /x}"), {}),
        "` twice, expected": (app(evener, origin), {"metrics": {"bind": evener.listen}}),
        "can't be written": (app(evener, origin), {"log": {"to": "/nowhere/evener.log"}}),
    }
    for words, (text, settings) in wrong.items():
        before = dict(evener.settings)
        evener.write(text, **settings)
        said = refused(evener)
        evener.settings = before
        assert words in said
        assert get(evener.listen).status == 200
    evener.reload(app(evener, origin))
    assert get(evener.listen).status == 200


def test_all_that_a_machine_lacks_is_told_at_once(
    evener: Evener, origins: Callable[..., Origin]
) -> None:
    evener.write(
        app(evener, origins()),
        log={"to": "/nowhere/a.log", "access": {"to": "/nowhere/b.log"}},
    )
    done = evener.command("run", str(evener.file))
    assert done.returncode == 2
    assert "/nowhere/a.log" in done.stderr and "/nowhere/b.log" in done.stderr
    assert done.stderr == evener.command("check", str(evener.file)).stderr
