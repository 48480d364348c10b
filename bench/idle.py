"""Measure what a connection costs that has asked once and now waits.

Rules kept here:
- The proxy is fresh and has answered a few requests: what it needs only once is not counted.
- Memory is read after the connections have rested long enough for anybody's tidying up.
- Every connection must answer once more afterwards: a closed one would cost nothing.
"""

from __future__ import annotations

import subprocess
import time

from bench.accounts import resident_kib
from bench.load import Served, WrongAnswer, ask, connect, judged_client
from bench.proxies import Proxy
from bench.rows import Row
from bench.stage import Stage

REST_SECONDS = 3.0
WARM_REQUESTS = 50


def kib_per_connection(row: Row, proxy: Proxy, stage: Stage, count: int) -> tuple[float, Served]:
    """Opens COUNT connections; returns KiB for each, and how they answered the second time.

    Raises:
        WrongAnswer: One of them was refused, closed, or answered wrongly.
    """
    port = proxy.ports[row.way]
    _warm(row, port, stage)
    before = resident_kib(proxy.running.pid)
    command = [stage.program("client"), "idle", "tls" if row.tls else "plain", str(port), row.path]
    command += [str(stage.body(row.size)), str(count), "0"]
    client = subprocess.Popen(
        ["taskset", "-c", str(stage.load_core), *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with client:
        assert client.stdin is not None and client.stdout is not None
        _expect(client.stdout.readline(), count, "first")
        time.sleep(REST_SECONDS)
        resident = resident_kib(proxy.running.pid) - before
        client.stdin.write("\n")
        client.stdin.flush()
        again = _expect(client.stdout.readline(), count, "second")
    return resident / count, again


def _warm(row: Row, port: int, stage: Stage) -> None:
    body = stage.body(row.size).read_bytes()
    connection = connect(row.tls, port)
    for _ in range(WARM_REQUESTS):
        wrong = ask(connection, row.path, body)
        if wrong:
            raise WrongAnswer(wrong)
    connection.close()
    time.sleep(REST_SECONDS / 3)


def _expect(line: str, count: int, which: str) -> Served:
    if not line:
        raise WrongAnswer(f"the client ended before its {which} answers")
    served = judged_client(line)
    if served.units != count:
        raise WrongAnswer(f"{served.units:.0f} of {count} connections gave the {which} answer")
    return served
