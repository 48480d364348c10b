"""The wheel alone is enough: a clean environment without Rust installs it and balances."""

from __future__ import annotations

import os
import shutil
import subprocess
import venv
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from house import build

from .rig.instance import READY
from .rig.places import free_port, fresh_address, short_directory
from .rig.processes import Process, exists
from .rig.programs import answers
from .rig.waiting import eventually
from .rig.wire import Wire, get

ROOT = Path(__file__).parents[2]
#: A build from nothing takes minutes, and both cores.
pytestmark = [pytest.mark.alone, pytest.mark.timeout(900)]


def run(command: Sequence[str], environment: Mapping[str, str], directory: Path) -> str:
    """What a command prints; its words when it fails."""
    done = subprocess.run(
        list(command), cwd=directory, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, (command, done.stdout[-4000:], done.stderr[-4000:])
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as it ships."""
    out = tmp_path_factory.mktemp("wheel")
    return build.wheel(out, build.environment())


@pytest.fixture(scope="module")
def clean(wheel: Path) -> Iterator[tuple[Path, dict[str, str]]]:
    """An environment that has the wheel and no Rust: its programs, and what to run them with."""
    with short_directory() as home:
        venv.create(home / "venv", with_pip=True)
        programs = home / "venv" / "bin"
        kept = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
        environment = {**kept, "PATH": str(programs), "HOME": str(home), "TMPDIR": str(home)}
        for tool in ("cargo", "rustc", "maturin", "gcc", "cc"):
            assert shutil.which(tool, path=environment["PATH"]) is None
        pip = [str(programs / "python"), "-m", "pip", "--disable-pip-version-check", "--quiet"]
        run([*pip, "install", "--only-binary=:all:", str(wheel)], environment, home)
        run([*pip, "check"], environment, home)
        yield programs, environment


def test_one_wheel_serves_every_python_from_3_11(
    wheel: Path, record_property: Callable[[str, object], None]
) -> None:
    record_property("figure", f"{wheel.name}, {wheel.stat().st_size / 2**20:.1f} MiB")
    name, version, python, abi, platform = wheel.stem.split("-")
    assert (name, python, abi) == ("evener", "cp311", "abi3")
    assert version == _version()
    assert "linux" in platform


def test_it_holds_the_package_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    tops = {name.split("/")[0] for name in names}
    assert tops <= {"evener", f"evener-{_version()}.dist-info"}
    engines = [name for name in names if name.endswith(".so")]
    assert engines == ["evener/_engine.abi3.so"]
    sources = {str(path.relative_to(ROOT / "src")) for path in (ROOT / "src").rglob("*.py")}
    assert sources <= set(names)
    assert {"evener/_engine.pyi", "evener/py.typed"} <= set(names)


def test_it_balances_three_servers(
    clean: tuple[Path, dict[str, str]],
    home: Path,
    ends: ExitStack,
    record_property: Callable[[str, object], None],
) -> None:
    programs, environment = clean
    servers = {}
    for name in ("alpha", "beta", "gamma"):
        (home / name).mkdir()
        (home / name / "name.txt").write_text(name)
        port = str(free_port())
        command = [str(programs / "python"), "-m", "http.server", port, "--bind", "127.0.0.1"]
        servers[port] = Process(
            name, [*command, "--directory", str(home / name)], home, environment
        )
        ends.callback(servers[port].end)
    for port in servers:
        eventually(partial(answers, f"127.0.0.1:{port}"), what=f"port {port}")
    listen = fresh_address()
    quick = [str(programs / "evener"), "quick", listen, *(f":{port}" for port in servers)]
    evener = Process("quick", quick, home, {**environment, "XDG_RUNTIME_DIR": str(home)})
    ends.callback(evener.end)
    evener.until_says(READY)

    def names(count: int) -> Counter[str]:
        return Counter(get(listen, "/name.txt").body.decode() for _ in range(count))

    assert names(9) == {"alpha": 3, "beta": 3, "gamma": 3}
    record_property("figure", "3 of 9 requests to each of three servers")
    next(iter(servers.values())).end()
    assert names(9).keys() == {"beta", "gamma"}
    with Wire(listen) as kept:
        assert kept.ask("/name.txt").status == 200
        evener.signal(15)
        assert evener.ended() == 0
    assert not exists(evener.pid)


def test_its_commands_run(clean: tuple[Path, dict[str, str]], home: Path) -> None:
    programs, environment = clean
    evener = str(programs / "evener")
    assert run([evener, "--version"], environment, home).strip() == f"evener {_version()}"
    run([evener, "quick", "--save", "evener.yaml", ":8080", ":8001", ":8002"], environment, home)
    said = run([evener, "check", "evener.yaml"], environment, home)
    assert said == "ok: 1 listener, 1 pool, 2 servers\n"


def _version() -> str:
    from evener import __version__

    return __version__
