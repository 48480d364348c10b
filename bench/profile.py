"""Show where one proxy spends its time under one row: perf over its whole tree.

The report is text on stdout: the hottest symbols, user and kernel together.
"""

from __future__ import annotations

import shutil
import subprocess
import threading

from bench import load
from bench.accounts import tree
from bench.machine import MachineError
from bench.proxies import start_proxy
from bench.rows import Row, Work
from bench.stage import Stage

SECONDS = 4.0
RECORD_SECONDS = 3
LINES = 60


def profile(name: str, row: Row, stage: Stage, evener: str) -> int:
    """Loads the proxy, records it meanwhile and prints its hottest symbols.

    Raises:
        MachineError: There is no perf, it may not record, or the row is not a load.
    """
    if shutil.which("perf") is None:
        raise MachineError("a profile needs perf: apt-get install -y linux-perf")
    if row.work is Work.IDLE:
        raise MachineError(f"{row.name} measures memory, there is nothing to profile")
    proxy = start_proxy(name, stage, [row], evener)
    port = proxy.ports[row.way]
    data = str(stage.directory / "perf.data")
    try:
        load.run(row, port, stage, 1.0)
        loader = threading.Thread(target=load.run, args=(row, port, stage, SECONDS))
        loader.start()
        pids = ",".join(str(pid) for pid in tree(proxy.running.pid))
        # cpu-clock: virtual machines seldom pass hardware counters on.
        record = ["perf", "record", "-q", "-e", "cpu-clock", "-F", "4999", "-g", "-o", data]
        _perf([*record, "-p", pids, "--", "sleep", str(RECORD_SECONDS)])
        loader.join()
    finally:
        proxy.running.stop()
    shown = _perf(["perf", "report", "-i", data, "--no-children", "-g", "none", "--stdio"])
    symbols = [line for line in shown.splitlines() if line.strip() and not line.startswith("#")]
    print("\n".join(symbols[:LINES]))
    return 0


def _perf(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise MachineError(f"{' '.join(command[:2])} failed: {done.stderr.strip()[-300:]}")
    return done.stdout
