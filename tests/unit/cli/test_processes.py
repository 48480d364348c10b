"""`evener run` and `evener quick` as real processes, with a stand-in for the engine's worker."""

import contextlib
import fcntl
import functools
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import evener
from evener.cli.app import app

PACKAGE = "__path__.append({real!r})\n__version__ = '0.1.0'\n"


class Instance:
    """The command, started, with a file of its own."""

    def __init__(self, tmp: Path) -> None:
        package = tmp / "path" / "evener"
        package.mkdir(parents=True)
        real = str(Path(evener.__file__).parent)
        (package / "__init__.py").write_text(PACKAGE.format(real=real))
        (package / "_engine.py").write_text((Path(__file__).parent / "stand_in.py").read_text())
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.tmp, self.run = tmp, tmp / "run"
        self.file = tmp / "evener.yaml"
        self.write("10.0.0.1:80")
        self.environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join([str(package.parent), *filter(None, sys.path)]),
            "HOME": str(tmp),
            "TMPDIR": str(tmp),
            "XDG_RUNTIME_DIR": str(tmp / "xdg"),
        }
        self.process: subprocess.Popen[bytes] | None = None
        self.seen: set[int] = set()

    def write(self, *servers: str) -> None:
        self.file.write_text(
            f"evener: {{run: '{self.run}', state: '{self.tmp}/state', shards: 2,"
            f" log: {{access: off}}}}\n"
            f"listeners: {{web: {{bind: '127.0.0.1:{self.port}', pool: app}}}}\n"
            f"pools: {{app: [{', '.join(repr(each) for each in servers)}]}}\n"
        )

    def start(self, *arguments: str, **environment: str) -> None:
        with (self.tmp / "words").open("wb") as words:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "evener.cli", *arguments],
                env={**self.environment, **environment},
                cwd=self.tmp,
                stderr=words,
            )

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "evener.cli", *arguments],
            env=self.environment,
            cwd=self.tmp,
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )

    def answer(self, patience: float = 10.0) -> int:
        """The process id of the worker that answers; waits for one."""
        end = time.monotonic() + patience
        while True:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
            try:
                connection.request("GET", "/")
                worker = int(connection.getresponse().read())
                self.seen.add(worker)
                return worker
            except ConnectionRefusedError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.002)
            finally:
                connection.close()

    def ready(self) -> int:
        """As `answer`, once the commands are answered, too."""
        worker = self.answer()
        self.until_commands_are_answered()
        return worker

    def until_commands_are_answered(self) -> None:
        while self.command("show", "status", "--run", str(self.run)).returncode:
            assert self.process is not None and self.process.poll() is None

    def worker(self) -> int:
        """The process id of the worker that the instance says it has; 0 while it has none."""
        return int(json.loads((self.run / "instance.json").read_text())["worker"])

    def quick_directory(self) -> Path:
        """The run directory of an `evener quick`."""
        assert self.process is not None
        base = Path("/run") if os.geteuid() == 0 else self.tmp / "xdg"
        return base / f"evener-quick-{self.process.pid}"

    def signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def ended(self) -> tuple[int, str]:
        """Exit code and words, once it has ended."""
        assert self.process is not None
        code = self.process.wait(timeout=20)
        return code, (self.tmp / "words").read_text()

    def clean_up(self) -> None:
        """Ends what a failed test may have left."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for worker in self.seen:
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[Instance]:
    made = Instance(tmp_path)
    yield made
    made.clean_up()


def test_a_run_serves_reloads_and_drains(instance: Instance) -> None:
    instance.start("run", "evener.yaml")
    worker = instance.ready()
    shown = instance.command("show", "status", "--config", "evener.yaml")
    assert shown.returncode == 0 and f"worker {worker}" in shown.stdout
    here = ("--run", str(instance.run))
    instance.write("10.0.0.1:80", "10.0.0.2:80")
    assert "plan 2 serves" in instance.command("reload", "--config", "evener.yaml").stderr
    assert "10.0.0.2:80" in instance.command("show", "servers", *here).stdout
    assert "evener_plan_generation 2" in instance.command("show", "metrics", *here).stdout
    assert instance.answer() == worker
    instance.write("not an address")
    refused = instance.command("reload", *here)
    assert refused.returncode == 1 and "evener.yaml:3" in refused.stderr
    assert instance.command("check", "evener.yaml").returncode == 2
    instance.signal(signal.SIGTERM)
    code, words = instance.ended()
    assert code == 0 and "stopped; nothing was cut" in words
    assert instance.command("show", "status", *here).returncode == 3
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", instance.port), 1)


def test_a_killed_worker_is_replaced_and_nobody_is_refused(instance: Instance) -> None:
    instance.start("run", "evener.yaml")
    first = instance.answer()
    os.kill(first, signal.SIGKILL)
    killed = time.monotonic()
    second = first
    while second == first:
        # What the dying one had in hand is lost; the rest waits in the queue, none is refused.
        with contextlib.suppress(ConnectionResetError, http.client.BadStatusLine):
            second = instance.answer(patience=0.0)
    assert time.monotonic() - killed < 5.0


def test_a_log_that_nobody_reads_stops_nothing(instance: Instance) -> None:
    reader, end = os.pipe()
    room = fcntl.fcntl(end, fcntl.F_SETPIPE_SZ, 4096)
    os.write(end, b"-" * room)  # the first line that is said does not fit
    instance.process = subprocess.Popen(
        [sys.executable, "-m", "evener.cli", "run", "evener.yaml"],
        env=instance.environment,
        cwd=instance.tmp,
        stderr=end,
    )
    os.close(end)
    first = instance.ready()
    instance.write("not an address")
    assert instance.command("reload", "--run", str(instance.run)).returncode == 1
    os.kill(first, signal.SIGKILL)
    while (second := instance.worker()) in (0, first):
        time.sleep(0.002)
    assert instance.answer() == second
    begun = time.monotonic()
    instance.signal(signal.SIGTERM)
    assert instance.process.wait(timeout=10) == 0
    assert time.monotonic() - begun < 5
    with os.fdopen(reader, "rb") as stream:
        assert stream.read().strip(b"-") == b"", "what nobody read is lost with the process"


def test_hup_reloads_usr1_reopens_and_usr2_says_what_it_cannot(instance: Instance) -> None:
    instance.start("run", "evener.yaml")
    instance.ready()
    instance.signal(signal.SIGUSR1)
    instance.signal(signal.SIGUSR2)
    instance.signal(signal.SIGHUP)
    end = time.monotonic() + 10
    while "plan 2" not in instance.command("show", "status", "--run", str(instance.run)).stdout:
        assert time.monotonic() < end
    instance.signal(signal.SIGINT)
    code, words = instance.ended()
    assert code == 0
    for said in ("logs reopened", "cannot upgrade in place", "reload: plan 2 serves"):
        assert said in words


def test_a_second_term_ends_at_once(instance: Instance) -> None:
    instance.start("run", "evener.yaml", STAND_IN_HANGS="1")
    instance.ready()
    instance.signal(signal.SIGTERM)
    time.sleep(0.2)  # two signals at once would be one to the kernel
    begun = time.monotonic()
    instance.signal(signal.SIGTERM)
    code, words = instance.ended()
    assert code == 0 and "stopped at once" in words
    assert time.monotonic() - begun < 5


def test_quick_serves_and_takes_its_worker_along(instance: Instance) -> None:
    instance.start("quick", f"127.0.0.1:{instance.port}", ":8001", ":8002")
    worker = instance.answer()
    pidfd = os.pidfd_open(worker)
    instance.signal(signal.SIGKILL)
    instance.ended()
    import select

    assert select.select([pidfd], [], [], 10)[0]
    os.close(pidfd)
    killed = instance.quick_directory()
    assert (killed / "lock").exists()
    instance.start("quick", f"127.0.0.1:{instance.port}", ":8001", ":8002")
    instance.answer()
    assert not killed.exists(), "the next start removes it"
    assert instance.quick_directory().exists()
    instance.signal(signal.SIGTERM)
    assert instance.ended()[0] == 0
    assert not instance.quick_directory().exists()


def test_a_second_supervisor_takes_over_from_a_dead_one(instance: Instance) -> None:
    instance.start("run", "evener.yaml")
    first = instance.ready()
    instance.signal(signal.SIGKILL)
    instance.ended()
    assert instance.answer() == first
    instance.start("run", "evener.yaml")
    end = time.monotonic() + 10
    worker = first
    while worker == first:
        assert time.monotonic() < end
        with contextlib.suppress(ConnectionResetError, http.client.BadStatusLine):
            worker = instance.answer()  # the stand-in ends without finishing what it has in hand
    instance.until_commands_are_answered()
    instance.signal(signal.SIGTERM)
    code, words = instance.ended()
    assert code == 0 and "an earlier worker was found" in words


def test_a_worker_whose_supervisor_died_is_stopped_by_command(instance: Instance) -> None:
    instance.start("run", "evener.yaml")
    worker = instance.ready()
    instance.signal(signal.SIGKILL)
    instance.ended()
    shown = instance.command("show", "status", "--config", "evener.yaml")
    assert shown.returncode == 3 and f"worker {worker} serves on" in shown.stderr
    stopped = instance.command("stop", "--config", "evener.yaml")
    assert stopped.returncode == 0 and stopped.stderr.endswith("stopped\n")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", instance.port), 1)


def test_python_runs_the_same(instance: Instance) -> None:
    script = (
        "from evener.cli import run\n"
        "from evener.config import Config\n"
        f"print(run(Config.quick('127.0.0.1:{instance.port}', [':8001'])))\n"
    )
    with (instance.tmp / "words").open("wb") as words:
        instance.process = subprocess.Popen(
            [sys.executable, "-c", script],
            env={**instance.environment, "RUNTIME_DIRECTORY": str(instance.run)},
            stdout=words,
            stderr=subprocess.STDOUT,
        )
    instance.ready()
    assert instance.command("stop", "--run", str(instance.run)).returncode == 0
    code, said = instance.ended()
    assert code == 0 and said.endswith("\n0\n")


def test_a_file_may_have_any_name_and_no_terminal_obeys_it(instance: Instance) -> None:
    name = os.fsdecode(b"\x1b[31m\xff.yaml")
    instance.file.rename(instance.tmp / name)
    instance.start("run", name)
    instance.ready()
    shown = instance.command("show", "status", "--run", str(instance.run))
    assert shown.stdout.startswith(f"{instance.tmp}/\\x1b[31m\\udcff.yaml  serving plan 1")
    tree = json.loads(instance.command("show", "status", "--json", "--config", name).stdout)
    assert tree["instance"]["config"] == f"{instance.tmp}/\\x1b[31m\\udcff.yaml"
    assert instance.command("stop", "--config", name).returncode == 0


def test_a_term_during_the_start_leaves_nothing_behind(instance: Instance) -> None:
    instance.start("run", "evener.yaml")
    instance.answer()
    instance.signal(signal.SIGTERM)
    assert instance.ended()[0] == 0
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", instance.port), 1)


def test_what_keeps_it_from_starting_is_said_with_the_right_exit_code(instance: Instance) -> None:
    with socket.create_server(("127.0.0.1", instance.port)):
        taken = instance.command("run", "evener.yaml")
    assert taken.returncode == 1 and "listens there" in taken.stderr
    assert "Traceback" not in taken.stderr
    instance.file.write_text("listeners: {web: {bind: ':1', poool: app}}\n")
    wrong = instance.command("run", "evener.yaml")
    assert wrong.returncode == 2 and "did you mean" in wrong.stderr
    missing = instance.command("run", "none.yaml")
    assert missing.returncode == 2 and "none.yaml" in missing.stderr
    assert instance.command("nonsense").returncode == 2


@pytest.mark.parametrize("command", [["explain"], ["check", "evener.yaml"], ["--help"]])
def test_data_that_cannot_be_written_is_one_line_and_an_exit_code(
    instance: Instance, command: list[str]
) -> None:
    with Path("/dev/full").open("w") as full:
        run = functools.partial(
            subprocess.run,
            [sys.executable, "-m", "evener.cli", *command],
            env=instance.environment,
            cwd=instance.tmp,
            stdout=full,
            text=True,
        )
        said = run(stderr=subprocess.PIPE)
        assert said.returncode == 1
        assert said.stderr == "error: cannot write to stdout: No space left on device\n"
        assert run(stderr=full).returncode == 1


def test_a_command_says_what_it_waits_for(instance: Instance) -> None:
    instance.start("run", "evener.yaml")
    instance.ready()
    assert instance.process is not None
    instance.signal(signal.SIGSTOP)
    asked = subprocess.Popen(
        [sys.executable, "-m", "evener.cli", "show", "plan", "--run", str(instance.run)],
        env=instance.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert asked.stderr is not None and asked.stdout is not None
    words = asked.stderr.readline()
    assert f"waiting for the instance in {instance.run} (pid {instance.process.pid})" in words
    assert f"it is stopped, `kill -CONT {instance.process.pid}`" in words
    instance.signal(signal.SIGCONT)
    plan, more = asked.communicate(timeout=20)
    assert json.loads(plan)["generation"] == 1 and more == ""


def _commands(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """The words of each command below this one."""
    if path:
        yield path
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from _commands(below, (*path, name))


def test_quick_saves_a_file_that_run_reads(instance: Instance) -> None:
    saved = instance.command("quick", "--save", "quick.yaml", ":8080", ":8001")
    assert saved.returncode == 0
    assert instance.command("check", "quick.yaml").stdout == "ok: 1 listener, 1 pool, 1 server\n"
    again = instance.command("quick", "--save", "quick.yaml", ":8080", ":8001")
    assert again.returncode == 1 and "is there already" in again.stderr


def test_help_has_examples_for_every_command(instance: Instance) -> None:
    for command in _commands(app, ()):
        usage, *said = CliRunner().invoke(app, [*command, "--help"]).stdout.splitlines()
        assert any("Example" in line for line in said), usage
        assert not any(line.endswith("...") for line in said), f"{usage}: a line is cut short"
    assert "evener 0.1.0" in instance.command("--version").stdout
    explained = instance.command("explain", "pools.app.passive")
    assert explained.returncode == 0 and "passive" in explained.stdout
    assert instance.command("explain", "pasive").returncode == 2
