"""Make load on a port and judge the answers: wrk, iperf3, our own client, and a witness.

Rules kept here:
- An answer that is wrong, missing or late ends the round with an error in words. No round with an
  error gives a number.
- wrk counts but does not look at bodies, so a witness asks through the same port meanwhile and
  compares every byte; its answers are counted with the rest.
"""

from __future__ import annotations

import http.client
import json
import ssl
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bench.rows import Row, Work
from bench.stage import HERE, Stage

# Largest head of an answer, for judging wrk's count of bytes.
HEAD = 1024
WITNESS_PAUSE = 0.02
# No load of a few seconds lasts so long unless answers are missing.
LOAD_SECONDS = 60
# The same work for all: what OpenSSL's client prefers, and every proxy here by itself agrees to.
SAME_TLS = "TLSv1.3 TLS_AES_256_GCM_SHA384 X25519"


class WrongAnswer(Exception):
    """Somebody asked and got something else than the right answer."""


@dataclass(frozen=True)
class Served:
    """What a round of load saw. `units` is requests, connections or GiB."""

    units: float
    seconds: float
    p50_us: float
    p99_us: float


def run(row: Row, port: int, stage: Stage, seconds: float) -> Served:
    """Loads one port for so long.

    Raises:
        WrongAnswer: Any answer failed or was not the right one.
    """
    match row.work:
        case Work.KEPT:
            return _kept(row, port, stage, seconds)
        case Work.FRESH:
            return _fresh(row, port, stage, seconds)
        case Work.STREAM:
            return _stream(port, stage, seconds)
        case Work.IDLE:
            raise ValueError("idle rows are not load: see bench.idle")


def _kept(row: Row, port: int, stage: Stage, seconds: float) -> Served:
    url = f"{'https' if row.tls else 'http'}://127.0.0.1:{port}{row.path}"
    command = ["wrk", "-t", "1", "-c", str(row.connections), "-d", f"{max(1, round(seconds))}s"]
    command += ["--timeout", "10s", "-s", str(HERE / "wrk.lua"), url]
    witness = Witness(row, port, stage.body(row.size).read_bytes())
    with witness:
        text = _output(command, stage)
    served = judged(text, row)
    return Served(served.units + witness.answers, served.seconds, served.p50_us, served.p99_us)


def judged(text: str, row: Row) -> Served:
    """Reads wrk's line and holds its counts against what was asked.

    Raises:
        WrongAnswer: There were errors, no answers, or not the bytes these answers have.
    """
    line = next((line for line in text.splitlines() if line.startswith("BENCH ")), None)
    if line is None:
        raise WrongAnswer(f"wrk gave no summary: {text[-300:]}")
    counts: dict[str, Any] = json.loads(line.removeprefix("BENCH "))
    errors = {name: counts[name] for name in ("connect", "read", "write", "status", "timeout")}
    if any(errors.values()):
        raise WrongAnswer(f"wrk saw errors: {errors}")
    answers = counts["answers"]
    least, most = answers * row.size, (answers + row.connections) * (row.size + HEAD)
    if answers == 0 or not least <= counts["bytes"] <= most:
        raise WrongAnswer(f"{answers} answers of {row.size} bytes came as {counts['bytes']} bytes")
    return Served(answers, counts["seconds"], counts["p50_us"], counts["p99_us"])


class Witness:
    """One more client, slow and exact, while others hurry.

    Use as a context; leaving it raises WrongAnswer if any of its answers was not the right one.
    """

    def __init__(self, row: Row, port: int, body: bytes) -> None:
        self.answers = 0
        self.on_answer: Callable[[], None] = lambda: None
        self._row, self._port, self._body = row, port, body
        self._wrong: str | None = None
        self._enough = threading.Event()
        self._thread = threading.Thread(target=self._ask_on, name="witness")

    def __enter__(self) -> Witness:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._enough.set()
        self._thread.join()
        if self._wrong or self.answers == 0:
            raise WrongAnswer(f"the witness: {self._wrong or 'no answer at all'}")

    def _ask_on(self) -> None:
        connection = connect(self._row.tls, self._port)
        try:
            while not self._enough.wait(WITNESS_PAUSE) and not self._wrong:
                self._wrong = ask(connection, self._row.path, self._body)
                self.answers += 1
                self.on_answer()
        finally:
            connection.close()


def connect(tls: bool, port: int) -> http.client.HTTPConnection:
    """A client connection to 127.0.0.1; the stage's certificate is not one to be verified."""
    if not tls:
        return http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return http.client.HTTPSConnection("127.0.0.1", port, timeout=10, context=context)


def ask(connection: http.client.HTTPConnection, path: str, body: bytes) -> str | None:
    """Asks once; None if the answer is right, else what was wrong."""
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        got = answer.read()
    except (OSError, http.client.HTTPException) as error:
        return f"{path}: {type(error).__name__}: {error}"
    if answer.status != 200:
        return f"status {answer.status} for {path}"
    if got != body:
        return f"{path} came with another body ({len(got)} bytes)"
    return None


def _fresh(row: Row, port: int, stage: Stage, seconds: float) -> Served:
    command = [stage.program("client"), "fresh", "tls" if row.tls else "plain", str(port), row.path]
    command += [str(stage.body(row.size)), str(row.connections), str(seconds)]
    return judged_client(_output(command, stage))


def judged_client(line: str) -> Served:
    """Reads our own client's line.

    Raises:
        WrongAnswer: An answer failed or was wrong, a TLS session was resumed or made otherwise.
    """
    counts: dict[str, Any] = json.loads(line)
    faults = {name: counts[name] for name in ("failed", "wrong", "resumed")}
    if any(faults.values()) or counts["answers"] == 0:
        raise WrongAnswer(f"the client counted {faults} beside {counts['answers']} right answers")
    if counts["tls"] not in ("", SAME_TLS):
        raise WrongAnswer(f"handshakes were {counts['tls']}, to compare they must be {SAME_TLS}")
    return Served(counts["answers"], counts["seconds"], counts["p50_us"], counts["p99_us"])


def _stream(port: int, stage: Stage, seconds: float) -> Served:
    command = [
        "iperf3",
        "-c",
        "127.0.0.1",
        "-p",
        str(port),
        "-t",
        str(max(1, round(seconds))),
        "-J",
    ]
    result: dict[str, Any] = json.loads(_output(command, stage))
    if "error" in result:
        raise WrongAnswer(f"iperf3: {result['error']}")
    sent, received = result["end"]["sum_sent"]["bytes"], result["end"]["sum_received"]
    # What was still on its way when the clock stopped is bounded by the sockets' buffers.
    if not 0 <= sent - received["bytes"] <= 64 << 20:
        raise WrongAnswer(f"iperf3 sent {sent} bytes and received {received['bytes']}")
    return Served(received["bytes"] / 2**30, received["seconds"], 0, 0)


def _output(command: list[str], stage: Stage) -> str:
    pinned = ["taskset", "-c", str(stage.load_core), *command]
    try:
        done = subprocess.run(
            pinned, capture_output=True, text=True, check=False, timeout=LOAD_SECONDS
        )
    except subprocess.TimeoutExpired as error:
        raise WrongAnswer(f"{command[0]} did not end in {LOAD_SECONDS} s") from error
    if done.returncode != 0 and not done.stdout.startswith("{"):
        raise WrongAnswer(f"{command[0]} failed: {(done.stderr or done.stdout).strip()[-300:]}")
    return done.stdout
