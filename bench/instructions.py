"""Count the instructions that a small proxied request takes, here and at another commit.

    python3 -m bench.instructions [COMMIT]

One shard (`serve_plan`) runs under callgrind between a client and an origin that speak in turn, one
request at a time on kept connections. Two runs of different lengths give the slope: what start and
end take cancels out. The kernel's instructions are not among them. With COMMIT, that commit is
built and counted as well, and the difference is told; 1 when it is more than 2 %.

Rules kept here: nothing is measured in time, so that a busy machine changes nothing; the optimised
build is counted, as it ships.
"""

from __future__ import annotations

import ctypes
import errno
import json
import re
import shutil
import socket
import struct
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from io import BytesIO
from pathlib import Path
from typing import Any

from bench.machine import MachineError, free_ports
from house import build

ROOT = Path(__file__).parents[1]
ROOM = ROOT / "target" / "instructions"
#: Requests of the two runs whose difference counts.
FEW, MANY = 500, 2500
BOUND = 0.02

REQUEST = b"GET /64 HTTP/1.1\r\nHost: bench.test\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n"
ANSWER = (
    b"HTTP/1.1 200 OK\r\nServer: origin\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
    b"Content-Type: application/octet-stream\r\nContent-Length: 64\r\n\r\n" + b"x" * 64
)


def main(arguments: list[str]) -> int:
    """Prints the figures; 1 when the difference is beyond the bound."""
    if shutil.which("valgrind") is None:
        raise MachineError("instructions need valgrind: apt-get install -y valgrind")
    ours = per_request(ROOT)
    print(f"here: {ours:.1f} instructions per request")
    if not arguments:
        return 0
    theirs = per_request(_tree(arguments[0]))
    change = ours / theirs - 1
    print(f"{arguments[0]}: {theirs:.1f}; the change is {change:+.2%} (bound {BOUND:.0%})")
    return 1 if abs(change) > BOUND else 0


def per_request(tree: Path) -> float:
    """Instructions for one more request, as a tree of sources has it."""
    program = _built(tree)
    few, many = (_count(program, tree, requests) for requests in (FEW, MANY))
    return (many - few) / (MANY - FEW)


def _tree(commit: str) -> Path:
    """The sources of a commit, as new as now: cargo goes by times, in one folder for all."""
    words = ["git", "rev-parse", "--verify", f"{commit}^{{commit}}"]
    name = subprocess.run(words, cwd=ROOT, check=True, capture_output=True, text=True)
    tree = ROOM / name.stdout.strip()
    shutil.rmtree(tree, ignore_errors=True)
    archive = subprocess.run(["git", "archive", commit], cwd=ROOT, check=True, capture_output=True)
    with tarfile.open(fileobj=BytesIO(archive.stdout)) as files:
        files.extractall(tree, filter=_as_new)
    return tree


def _as_new(member: tarfile.TarInfo, path: str) -> tarfile.TarInfo | None:
    kept = tarfile.data_filter(member, path)
    return kept.replace(mtime=time.time(), deep=False)


def _built(tree: Path) -> Path:
    builds = (ROOT / "target") if tree == ROOT else ROOM / "builds"
    command = ["cargo", "build", "--release", "--locked", "--quiet"]
    command += ["-p", "evener-engine", "--example", "serve_plan"]
    environment = {**build.environment(tree, build.as_shipped()), "CARGO_TARGET_DIR": str(builds)}
    subprocess.run(command, cwd=tree, env=environment, check=True)
    return builds / "release" / "examples" / "serve_plan"


def _count(program: Path, tree: Path, requests: int) -> int:
    """Instructions of a whole run with so many requests."""
    with tempfile.TemporaryDirectory() as place, socket.create_server(("127.0.0.1", 0)) as origin:
        [port] = free_ports(1)
        plan, out = Path(place) / "plan.json", Path(place) / "callgrind.out"
        plan.write_text(json.dumps(_plan(tree, port, origin.getsockname()[1])))
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}"]
        with (Path(place) / "words").open("w") as words:
            shard = subprocess.Popen(
                [*command, str(program), str(plan)],
                stderr=words,
                preexec_fn=_hide_vdso,  # noqa: PLW1509  # before any thread of ours is started
            )
        threading.Thread(target=_serve, args=(origin,), daemon=True).start()
        try:
            _ask(port, requests, shard)
        finally:
            shard.terminate()
            shard.wait(60)
        found = re.search(r"(?m)^(?:totals|summary): (\d+)", out.read_text())
        if found is None:
            raise MachineError(f"callgrind counted nothing: {(Path(place) / 'words').read_text()}")
        return int(found[1])


def _hide_vdso() -> None:
    """Has prctl(PR_GET_AUXV) fail, in this process and whatever it becomes.

    valgrind takes the vdso away and hides it in the auxiliary vector that it shows, but lets this
    call through to the kernel's own, whose address then leads nowhere. Source: seccomp(2).
    """
    number, first, errno_, allow = 0, 16, 0x00050000, 0x7FFF0000
    steps = [
        (0x20, 0, 0, number),  # load the call's number
        (0x15, 0, 3, 157),  # prctl?
        (0x20, 0, 0, first),  # load its first argument
        (0x15, 0, 1, 0x41555856),  # PR_GET_AUXV?
        (0x06, 0, 0, errno_ | errno.EINVAL),
        (0x06, 0, 0, allow),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    program = ctypes.create_string_buffer(
        struct.pack("HxxxxxxQ", len(steps), ctypes.addressof(code))
    )
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    no_new_privileges, seccomp, filter_ = 38, 22, 2
    if prctl(no_new_privileges, 1, 0, 0, 0) or prctl(seccomp, filter_, program, 0, 0):
        raise OSError(ctypes.get_errno(), "seccomp")


def _plan(tree: Path, port: int, origin: int) -> dict[str, Any]:
    """The bench's own plan, with its one plain listener and one server."""
    text = (tree / "bench" / "plan.json").read_text().replace("${BENCH_HTTP}", str(port))
    plan: dict[str, Any] = json.loads(text)
    plan["listeners"] = [one for one in plan["listeners"] if one["name"] == "web"]
    plan["pools"] = [one for one in plan["pools"] if one["name"] == "app"]
    [pool] = plan["pools"]
    pool["servers"] = pool["servers"][:1]
    pool["servers"][0]["id"] = pool["servers"][0]["address"] = f"127.0.0.1:{origin}"
    pool["checks"] = []
    return plan


def _serve(listener: socket.socket) -> None:
    """The origin: one answer per request, on each connection until it ends."""
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_answer, args=(connection,), daemon=True).start()


def _answer(connection: socket.socket) -> None:
    with connection:
        while _until(connection, b"\r\n\r\n"):
            connection.sendall(ANSWER)


def _ask(port: int, requests: int, shard: subprocess.Popen[bytes]) -> None:
    with _connected(port, shard) as client:
        for _ in range(requests):
            client.sendall(REQUEST)
            answer = _until(client, b"x" * 64)
            if not answer.startswith(b"HTTP/1.1 200"):
                raise MachineError(f"a wrong answer: {answer!r}")


def _connected(port: int, shard: subprocess.Popen[bytes]) -> socket.socket:
    """A connection, as soon as the shard listens: it starts slowly under callgrind."""
    for _ in range(600):
        try:
            return socket.create_connection(("127.0.0.1", port), 60)
        except ConnectionRefusedError:
            if shard.poll() is not None:
                raise MachineError(f"serve_plan ended with {shard.returncode}") from None
            threading.Event().wait(0.1)
    raise MachineError("serve_plan does not listen")


def _until(sock: socket.socket, mark: bytes) -> bytes:
    held = b""
    while mark not in held:
        piece = sock.recv(65536)
        if not piece:
            return b""
        held += piece
    return held


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
