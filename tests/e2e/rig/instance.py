"""A running Evener: a directory of its own, its file, its two processes, and its commands.

Rules kept here:
- It is started as a person starts it, by the `evener` command, and found by its run directory.
- Whatever happens, supervisor and worker are ended by their ids, and a failed test shows the log.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from .places import fresh_address
from .processes import Process, exists
from .waiting import eventually

Tree = Any

#: What a supervisor says once a shard accepts.
READY = "serving on"


class Evener:
    """One instance.

    Args:
        directory: Its own, with a short path.
        listen: HOST:PORT for the tests' main listener; `{listen}` in a configuration.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.listen = fresh_address()
        self.run, self.file = directory / "run", directory / "evener.yaml"
        self.settings: dict[str, Any] = {
            "run": str(self.run),
            "state": str(directory / "state"),
            "shards": 2,
            "log": {"access": {"to": str(directory / "access.log")}},
        }
        self.environment = {
            **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
            "TMPDIR": str(directory),
            "XDG_RUNTIME_DIR": str(directory / "xdg"),
        }
        #: What the command is started by, such as `prlimit` with its arguments.
        self.wrapper: list[str] = []
        self.process: Process | None = None
        self._starts = 0
        self._workers: set[int] = set()

    # What it is told -----------------------------------------------------------------------

    def write(self, text: str, **settings: Any) -> None:
        """Writes the file: `settings` go over the instance's own part, `text` is the rest."""
        self.settings.update(settings)
        self.write_whole(f"evener: {json.dumps(self.settings)}\n{text}")

    def write_whole(self, text: str) -> None:
        """Writes the file as it stands here."""
        beside = self.file.with_suffix(".new")
        beside.write_text(text)
        beside.replace(self.file)

    def start(self, text: str | None = None, **settings: Any) -> Evener:
        """Starts it with this configuration and waits until it serves."""
        if text is not None:
            self.write(text, **settings)
        self.launch("run", str(self.file))
        self.until_ready()
        return self

    def launch(self, *arguments: str, session: bool = True) -> Process:
        """Starts the command and waits for nothing."""
        self._starts += 1
        self.process = Process(
            f"evener-{self._starts}",
            [*self.wrapper, sys.executable, "-m", "evener.cli", *arguments],
            self.directory,
            self.environment,
            session,
        )
        return self.process

    def until_ready(self) -> None:
        """Waits until it says that it serves."""
        self.own().until_says(READY)
        _ = self.worker

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs one `evener` command to its end."""
        return subprocess.run(
            [sys.executable, "-m", "evener.cli", *arguments],
            cwd=self.directory,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def tell(self, *arguments: str) -> str:
        """Runs one command on this instance, which must succeed; what it printed."""
        done = self.command(*arguments, "--run", str(self.run))
        assert done.returncode == 0, (arguments, done.returncode, done.stderr)
        return done.stdout

    def reload(self, text: str | None = None, **settings: Any) -> Tree:
        """Has it read its file again, which must succeed; what changed."""
        if text is not None:
            self.write(text, **settings)
        return json.loads(self.tell("reload", "--json"))

    def signal(self, number: int) -> None:
        """Sends a signal to the supervisor."""
        self.own().signal(number)

    def stop(self) -> int:
        """Drains and ends it; the exit code."""
        self.signal(signal.SIGTERM)
        return self.own().ended()

    # What it says --------------------------------------------------------------------------

    def own(self) -> Process:
        """The supervisor."""
        assert self.process is not None, "not started"
        return self.process

    def words(self) -> str:
        """Its own log so far."""
        return self.own().words()

    @property
    def worker(self) -> int:
        """Process id of the worker that serves; waits for one."""
        pid = eventually(self._worker, 15.0, "a worker serves")
        self._workers.add(pid)
        return pid

    def _worker(self) -> int:
        try:
            pid = int(json.loads((self.run / "instance.json").read_text())["worker"])
        except (OSError, ValueError):
            return 0
        return pid if pid and exists(pid) else 0

    def show(self, what: str) -> Tree:
        """The JSON of `evener show WHAT`."""
        return json.loads(self.tell("show", what, "--json"))

    def ask(self, path: str, method: str = "GET", body: Tree = None) -> bytes:
        """What the admin API answers: as the commands do, without the start of a Python."""
        from evener.cli.client import Client

        client = Client(str(self.run))
        if method == "GET":
            return client.text(path).encode()
        return json.dumps(client.tell(method, path, body)).encode()

    def status(self) -> Tree:
        """The tree of `show status`."""
        return json.loads(self.ask("/v1/status"))

    def problems(self) -> str:
        """All problems of the status, a line each."""
        return "\n".join(each["text"] for each in self.status()["problems"])

    def server(self, name: str) -> Tree:
        """What is known of POOL/SERVER."""
        return json.loads(self.ask(f"/v1/servers/{name}"))

    def until(self, name: str, state: str, within: float = 10.0) -> Tree:
        """Waits until POOL/SERVER has a state; what is known of it then."""
        seen: list[Tree] = [None]

        def there() -> Tree:
            seen[0] = self.server(name)
            return seen[0] if seen[0]["state"] == state else None

        return eventually(there, within, f"{name} is {state}")

    def metrics(self) -> Metrics:
        """The Prometheus page, read by Prometheus' own parser."""
        return Metrics(self.ask("/v1/metrics").decode())

    def until_counts(self, wanted: float, name: str, **labels: str) -> None:
        """Waits until a counter has this value: it is raised just after what it counts was seen."""
        seen: list[float] = []

        def there() -> bool:
            seen.append(self.metrics().value(name, **labels))
            return seen[-1] == wanted

        try:
            eventually(there, 3.0)
        except AssertionError:
            raise AssertionError(f"{name} {labels} is {seen[-1]:g}, not {wanted:g}") from None

    def access(self) -> list[Tree]:
        """The lines of the access log so far."""
        path = self.directory / "access.log"
        lines = path.read_text().splitlines() if path.exists() else []
        return [json.loads(line) for line in lines]

    def until_logged(self, matches: Callable[[Tree], bool], within: float = 5.0) -> Tree:
        """The first line of the access log that matches; waits for it."""
        return eventually(
            lambda: next((line for line in self.access() if matches(line)), None),
            within,
            "a line in the access log",
        )

    # Its end -------------------------------------------------------------------------------

    def clean_up(self) -> None:
        """Ends what a test may have left."""
        with contextlib.suppress(AssertionError, OSError):
            if worker := self._worker():
                self._workers.add(worker)
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.process.pid, signal.SIGCONT)
            self.process.end()
        for worker in self._workers:
            with contextlib.suppress(ProcessLookupError):
                if _is_worker(worker):
                    os.kill(worker, signal.SIGKILL)


class Metrics:
    """A Prometheus page, taken apart."""

    def __init__(self, page: str) -> None:
        self.families = list(text_string_to_metric_families(page))
        self._samples = [sample for family in self.families for sample in family.samples]

    def value(self, name: str, **labels: str) -> float:
        """The sum of all samples of a name that have these labels."""
        return sum(
            sample.value
            for sample in self._samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def all(self, name: str) -> Mapping[tuple[tuple[str, str], ...], float]:
        """All samples of a name by their labels."""
        return {
            tuple(sorted(sample.labels.items())): sample.value
            for sample in self._samples
            if sample.name == name
        }


def _is_worker(pid: int) -> bool:
    """Whether the process of this id is (still) a worker of ours: ids are used again."""
    with contextlib.suppress(OSError):
        return b"evener" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False
