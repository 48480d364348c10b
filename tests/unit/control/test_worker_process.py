"""Real processes, with an extension of a few lines of Python in the engine's place."""

import asyncio
import errno
import os
import signal
import sys
from pathlib import Path

import pytest

import evener
from evener.control.errors import StartError
from evener.control.link import _reach
from evener.control.worker_process import spawn, where_it_hangs
from evener.worker import SIGNALS

pytestmark = pytest.mark.asyncio

ENGINE = """
import os, signal, socket, sys
def serve(path):
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(path)
        with open(path.replace(".sock", ".facts"), "w") as file:
            print(sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])), file=file)
            print(os.getcwd(), "" in sys.path, sys.flags.isolated, file=file)
            print("heavy:", [name for name in ("asyncio", "click", "json.decoder", "ctypes",
                  "evener.config", "evener.control") if name in sys.modules], file=file)
        sock.listen()
        while True:
            sock.accept()
"""


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The real package, with another extension; returns a path for the control socket."""
    package = tmp_path / "path" / "evener"
    package.mkdir(parents=True)
    real = Path(evener.__file__).parent
    (package / "__init__.py").write_text(f"__path__.append({str(real)!r})\n")
    (package / "_engine.py").write_text(ENGINE)
    monkeypatch.setattr(sys, "path", ["", str(package.parent), *sys.path])
    return tmp_path / "worker-1.sock"


async def listening(path: Path) -> list[str]:
    """What the worker wrote down before it listened."""
    sock = await _reach(str(path), 10.0)
    sock.close()
    return path.with_suffix(".facts").read_text().splitlines()


async def test_a_worker_is_isolated_light_and_open_to_no_signal(engine: Path) -> None:
    worker = spawn(engine, False)
    mask, place, heavy = await listening(engine)
    assert (mask, place) == ("[]", "/ False 1")
    assert heavy == "heavy: ['json.decoder']"
    for number in SIGNALS:
        os.kill(worker.pid, number)
    await asyncio.sleep(0)
    assert not worker.ended.done()
    assert any(line.startswith(f"thread {worker.pid}") for line in where_it_hangs(worker.pid))
    worker.kill()
    assert await worker.ended == "was ended by SIGKILL"
    worker.kill()


async def test_our_own_signals_stay_as_they_were(engine: Path) -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    worker = spawn(engine, False)
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == before
    worker.kill()
    await worker.ended


async def test_an_exit_code_is_told(engine: Path) -> None:
    (engine.parent / "path" / "evener" / "_engine.py").write_text("raise SystemExit(7)")
    assert await spawn(engine, False).ended == "ended with exit code 7"


async def test_a_worker_that_cannot_be_watched_is_not_left_behind(
    engine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[int] = []

    def full(pid: int) -> int:
        started.append(pid)
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(os, "pidfd_open", full)
    with pytest.raises(StartError, match="Too many open files"):
        spawn(engine, False)
    with pytest.raises(ProcessLookupError):
        os.kill(started[0], 0)


async def test_a_tied_worker_ends_with_its_parent(engine: Path) -> None:
    script = (
        "import asyncio, sys, json, pathlib\n"
        "sys.path[:] = json.loads(sys.argv[1])\n"
        "from evener.control.worker_process import spawn\n"
        "async def main():\n"
        "    print(spawn(pathlib.Path(sys.argv[2]), True).pid, flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    import json

    parent = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        script,
        json.dumps(sys.path),
        str(engine),
        stdout=asyncio.subprocess.PIPE,
    )
    assert parent.stdout is not None
    pid = int(await parent.stdout.readline())
    await listening(engine)
    pidfd = os.pidfd_open(pid)
    gone = asyncio.Event()
    asyncio.get_running_loop().add_reader(pidfd, gone.set)
    parent.kill()
    await parent.wait()
    async with asyncio.timeout(10):
        await gone.wait()
    asyncio.get_running_loop().remove_reader(pidfd)
    os.close(pidfd)
