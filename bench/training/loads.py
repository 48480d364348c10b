"""Loads that the bench's rows leave out, so that the profile knows their paths, too.

Rules kept here:
- Each is one listener of `training.yaml` and one way to ask; all of them run against one engine.
- What answers is real: nginx with chunked answers and TLS, php-fpm.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from glob import glob
from pathlib import Path

from bench.load import WrongAnswer
from bench.machine import MachineError, free_ports, start
from bench.proxies import filled_command
from bench.stage import Stage, fill

HERE = Path(__file__).parent
PORTS = ("ROUTED", "CHUNKED", "POSTED", "PHP", "CHOSEN", "VERIFIED", "FRESH")
#: Program of php-fpm: Debian's has its version in its name.
PHP_FPM = "/usr/sbin/php-fpm*"


@dataclass(frozen=True)
class Load:
    """One way to ask.

    Attributes:
        mode: What `training.lua` makes of it.
        tls: Whether the listener speaks TLS.
    """

    name: str
    port: int
    mode: str
    tls: bool = False

    def run(self, stage: Stage, seconds: float) -> int:
        """Asks for so long; the number of answers.

        Raises:
            WrongAnswer: There were errors, or no answers.
        """
        scheme = "https" if self.tls else "http"
        command = ["wrk", "-t", "1", "-c", "32", "-d", f"{max(1, round(seconds))}s"]
        command += ["-s", str(HERE / "training.lua"), f"{scheme}://127.0.0.1:{self.port}/"]
        pinned = ["taskset", "-c", str(stage.load_core), *command, "--", self.mode]
        text = subprocess.run(pinned, capture_output=True, text=True, check=True).stdout
        line = next((line for line in text.splitlines() if line.startswith("LOAD ")), "LOAD {}")
        counts = json.loads(line.removeprefix("LOAD "))
        if not counts.get("answers") or counts["wrong"]:
            raise WrongAnswer(f"{self.name}: {counts or text[-300:]}")
        return int(counts["answers"])


@contextmanager
def started(stage: Stage, command: Callable[[str], str]) -> Iterator[list[Load]]:
    """Starts an engine and what answers behind it; ends both.

    Args:
        command: How an engine is started that counts under a name.

    Raises:
        MachineError: A program is missing or did not start.
    """
    with ExitStack() as ends:
        values = stage.for_proxy("training")
        own = Path(values["BENCH_DIR"])
        ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
        chunked, secure = free_ports(2)
        values |= {f"BENCH_{name}": str(port) for name, port in ports.items()}
        values |= {
            "BENCH_CHUNKEDORIGIN": str(chunked),
            "BENCH_TLSORIGIN": str(secure),
            "BENCH_WWW": str(stage.directory / "www"),
            "BENCH_FPM": str(own / "fpm.sock"),
        }
        origin = start("origin", _nginx(values), stage.load_core, own)
        ends.callback(origin.stop)
        origin.wait_for_port(chunked)
        ends.callback(start("fpm", _php(values, own), stage.load_core, own).stop)
        here = replace(stage, values={**stage.values, **values})
        engine = start(
            "evener",
            filled_command(command("loads"), {"config": fill(HERE / "training.yaml", values)}),
            here.proxy_core,
            own,
        )
        ends.callback(engine.stop, 30)
        for port in ports.values():
            engine.wait_for_port(port)
        yield [
            Load("routes by host, path, header", ports["ROUTED"], "routed"),
            Load("many fields", ports["ROUTED"], "fields"),
            Load("pipelined", ports["ROUTED"], "pipelined"),
            Load("chunked answers", ports["CHUNKED"], "get"),
            Load("bodies by length", ports["POSTED"], "post"),
            Load("chunked bodies", ports["POSTED"], "chunks"),
            Load("FastCGI", ports["PHP"], "php"),
            Load("hashed by header", ports["CHOSEN"], "fields"),
            Load("TLS to servers", ports["VERIFIED"], "get", tls=True),
            Load("a connection per request", ports["FRESH"], "close"),
        ]


def _nginx(values: dict[str, str]) -> list[str]:
    config = fill(HERE / "training.conf", values)
    return ["nginx", "-c", str(config), "-p", values["BENCH_DIR"]]


def _php(values: dict[str, str], own: Path) -> list[str]:
    programs = sorted(glob(PHP_FPM))
    if not programs:
        raise MachineError("training needs php-fpm: apt-get install -y php-fpm")
    www = "user = www-data\ngroup = www-data\n" if os.geteuid() == 0 else ""
    (own / "fpm.conf").write_text(
        f"[global]\ndaemonize = no\nerror_log = {own}/fpm.log\n"
        f"[www]\n{www}listen = {values['BENCH_FPM']}\nlisten.mode = 0666\n"
        "pm = static\npm.max_children = 2\n"
    )
    shutil.copy(HERE / "training.php", own / "index.php")
    return [programs[-1], "-F", "-n", "-y", str(own / "fpm.conf")]
