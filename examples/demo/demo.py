"""`make demo`: three web servers, one dies, nobody notices.

Real processes all of them: web servers, Evener, clients that check every answer. It needs no root,
keeps everything in a directory of its own, and leaves nothing behind, however it ends. Exit code 0
only if not one request failed and every act came out as told.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import types
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from crowd import CLIENTS, Crowd
from stage import Bar, Stage

HERE = Path(__file__).parent
EVENER = [sys.executable, "-m", "evener.cli"]
NAMES = ["alpha", "beta", "gamma"]
NEWCOMER = "delta"
#: Seconds an act is watched, and seconds anything may take that an act waits for.
WATCH, PATIENCE = 3.0, 30.0


class Failed(Exception):
    """The demo did not come out as told; the message says where."""


class Interrupts:
    """Ctrl-C and its like end the demo by one KeyboardInterrupt, but never amid a start."""

    def __init__(self) -> None:
        self._held = self._came = self._over = False
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Until the end of this an interrupt waits: what is started is noted before."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
        if self._came:
            self._raise()

    def over(self) -> None:
        """From now on they are ignored: the demo ends already."""
        self._over = True

    def _on_signal(self, *_: int | types.FrameType | None) -> None:
        self._came = True
        if not self._held:
            self._raise()

    def _raise(self) -> None:
        if not self._over:
            self._over = True
            raise KeyboardInterrupt


class Demo:
    """The story, and all that it started."""

    def __init__(self, directory: Path, stage: Stage, interrupts: Interrupts) -> None:
        self._stage, self._interrupts = stage, interrupts
        self._run, self._file = directory / "run", directory / "evener.yaml"
        self._log = directory / "evener.log"
        self._port, *ports = _free_ports(len(NAMES) + 2)
        self._ports = dict(zip([*NAMES, NEWCOMER], ports, strict=True))
        self._servers: dict[str, subprocess.Popen[bytes]] = {}
        self._evener: subprocess.Popen[bytes] | None = None
        self._crowd = Crowd(self._port)

    # The story -----------------------------------------------------------------------------

    def play(self) -> None:
        """All acts."""
        self._stage.say("Evener: three web servers, one dies, nobody notices.", "1")
        self._begin()
        self._spread()
        self._kill("beta")
        self._bring_back("beta")
        self._reload()
        self._end()

    def _begin(self) -> None:
        for name in NAMES:
            self._start_server(name)
        self._write(NAMES)
        began = time.monotonic()
        with self._log.open("wb") as log, self._interrupts.held():
            self._evener = subprocess.Popen(
                [*EVENER, "run", str(self._file)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._until(lambda: _answers(self._port), "Evener answers")
        took = 1000 * (time.monotonic() - began)
        self._stage.say(f"It runs on http://127.0.0.1:{self._port}, {took:.0f} ms after its start.")

    def _spread(self) -> None:
        self._stage.act(1, f"{CLIENTS} clients ask all the time; requests spread over all three")
        self._crowd.start()
        counts = self._watch(WATCH)
        if len(counts) != 3 or max(counts.values()) > 1.2 * min(counts.values()):
            raise Failed(f"requests did not spread evenly: {dict(counts)}")

    def _kill(self, name: str) -> None:
        self._stage.act(2, f"{name} is killed (kill -9)")
        self._servers[name].kill()
        self._servers[name].wait()
        self._watch(WATCH)
        if self._states()[name] == "up":
            raise Failed(f"{name} is dead and still up")
        self._command("why", f"app/{name}")
        self._nobody_noticed()

    def _bring_back(self, name: str) -> None:
        self._stage.act(3, f"{name} is started again: checks let it back in")
        self._start_server(name)
        self._until(lambda: self._states()[name] == "up", f"{name} is up")
        counts = self._watch(WATCH)
        if not counts[name]:
            raise Failed(f"{name} is back and gets nothing")

    def _reload(self) -> None:
        self._stage.act(4, f"the file gets a fourth server, {NEWCOMER}, and is read again")
        self._start_server(NEWCOMER)
        self._write([*NAMES, NEWCOMER])
        self._command("reload")
        counts = self._watch(WATCH)
        if not counts[NEWCOMER]:
            raise Failed(f"{NEWCOMER} is in the file and gets nothing")

    def _end(self) -> None:
        self._stage.act(5, "the end: work in hand ends, then both processes do")
        self._crowd.stop()
        self._nobody_noticed()
        self._command("stop")
        code = self._evener.wait(PATIENCE) if self._evener else None
        if code != 0:
            raise Failed(f"Evener ended with {code}")
        self._stage.say("   Next: README.md, examples/, and `.venv/bin/evener --help`.")

    # Its parts -----------------------------------------------------------------------------

    def _write(self, names: list[str]) -> None:
        servers = [{"id": name, "address": f"127.0.0.1:{self._ports[name]}"} for name in names]
        here = self._file.parent
        tree = {
            "evener": {
                "run": str(self._run),
                "state": str(here / "state"),
                "log": {"access": {"format": "off"}},
            },
            "listeners": {"web": {"bind": f"127.0.0.1:{self._port}", "pool": "app"}},
            "pools": {
                "app": {
                    "servers": servers,
                    "check": {"http": "/", "every": "500ms"},
                    "passive": {"out": "2s"},  # 10 s by default: longer than a demo should wait
                }
            },
        }
        self._file.write_text(json.dumps(tree, indent=2))  # JSON is YAML, too

    def _start_server(self, name: str) -> None:
        port = self._ports[name]
        with self._interrupts.held():
            self._servers[name] = subprocess.Popen(
                [sys.executable, str(HERE / "server.py"), name, str(port)],
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        self._until(lambda: _answers(port), f"{name} answers")

    def _watch(self, seconds: float) -> Counter[str]:
        """Draws what comes in from now on; the counts of that time."""
        before, states = self._crowd.tally().by_server, self._states()
        end = time.monotonic() + seconds
        while (now := time.monotonic()) < end:
            if self._stage.live:
                self._draw(before, states)
            time.sleep(min(0.1, end - now))
            if end - now < seconds / 2:
                states = self._states()
        return self._draw(before, self._states())

    def _draw(self, before: Counter[str], states: dict[str, str]) -> Counter[str]:
        counts = self._crowd.tally().by_server - before
        total = counts.total() or 1
        bars = [Bar(name, counts[name], counts[name] / total, states[name]) for name in states]
        self._stage.bars(bars)
        return counts

    def _states(self) -> dict[str, str]:
        rows = json.loads(self._ask("show", "servers", "--json"))
        return {row["server"]: row["state"] for row in rows}

    def _nobody_noticed(self) -> None:
        tally = self._crowd.tally()
        words = f"{len(tally.failures)} of {tally.asked} requests failed"
        if tally.failures:
            raise Failed(f"{words}, the first: {tally.failures[0]}")
        slowest = f"the slowest answer took {1000 * tally.slowest:.0f} ms"
        self._stage.say(f"   {words}; {slowest}.", "32")

    def _command(self, *words: str) -> None:
        self._stage.command(" ".join(["evener", *words]), self._ask(*words))

    def _ask(self, *words: str) -> str:
        done = subprocess.run(
            [*EVENER, *words, "--run", str(self._run)],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        if done.returncode != 0:
            raise Failed(f"evener {' '.join(words)}: {done.stderr.strip()}")
        return done.stdout or done.stderr

    def _until(self, condition: Callable[[], bool], what: str) -> None:
        end = time.monotonic() + PATIENCE
        while not condition():
            if self._evener is not None and self._evener.poll() is not None:
                raise Failed(f"Evener ended: {self._log.read_text().strip()}")
            if time.monotonic() > end:
                raise Failed(f"not within {PATIENCE:.0f} s: {what}")
            time.sleep(0.02)

    # Its end -------------------------------------------------------------------------------

    def clean_up(self) -> None:
        """Ends all that still runs, by the ids of what was started."""
        worker = _worker_of(self._run)
        if self._evener is not None and self._evener.poll() is None:
            self._evener.terminate()
            self._evener.send_signal(signal.SIGTERM)  # a second one ends at once
            try:
                self._evener.wait(5)
            except subprocess.TimeoutExpired:
                self._evener.kill()
                if worker:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(worker, signal.SIGKILL)
        for server in self._servers.values():
            server.kill()
            server.wait()


def _free_ports(count: int) -> list[int]:
    """Ports that nobody uses; all are held until all are known, so that they differ."""
    with contextlib.ExitStack() as held:
        found = []
        for _ in range(count):
            sock = held.enter_context(socket.socket())
            sock.bind(("127.0.0.1", 0))
            found.append(sock.getsockname()[1])
        return found


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as sock:
        sock.settimeout(5)
        sock.sendall(b"GET / HTTP/1.1\r\nHost: demo\r\nConnection: close\r\n\r\n")
        return sock.recv(12) == b"HTTP/1.1 200"
    return False


def _worker_of(run: Path) -> int:
    with contextlib.suppress(OSError, ValueError, KeyError):
        return int(json.loads((run / "instance.json").read_text())["worker"])
    return 0


@contextlib.contextmanager
def _directory() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="evener-demo-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def main() -> int:
    """Plays it. 0: all came out as told; 1: not; 130: interrupted."""
    interrupts = Interrupts()
    with _directory() as directory:
        demo = Demo(directory, Stage(), interrupts)
        try:
            demo.play()
        except Failed as failure:
            print(f"demo: {failure}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print("\ndemo: interrupted; ending what was started", file=sys.stderr)
            return 130
        finally:
            interrupts.over()
            demo.clean_up()
    return 0


if __name__ == "__main__":
    sys.exit(main())
