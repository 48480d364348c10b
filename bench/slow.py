"""Slow clients by the thousand, slowhttptest's four modes: `python -m bench.slow`.

Rules kept here:
- Evener, nginx and HAProxy each with what their manuals set up, one worker thread on one core, in
  front of one server; load, server and honest client run on the other core.
- Of what the server sends its kernel takes 64 KiB ahead: what thousands of its connections hold is
  another machine's, but here all count against the one bound of TCP's memory.
- An honest client asks on a fresh connection every 50 ms all along; its longest wait counts.
- Shed: seconds from the first attacker until at most one in twenty is still connected.
- Memory is the proxy's, all its processes, at its highest, over what it was before.
Not known here: what is a good figure (`tests/e2e/test_starvation.py` has the bounds).
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.accounts import resident_kib
from bench.machine import MachineError, Running, free_ports, start
from bench.proxies import INSTALLED
from house import debian

PROGRAMS = ("evener", "nginx", "haproxy")
MODES = {
    "slow headers": ["-H"],
    "slow body": ["-B", "-s", "8192"],
    "range": ["-R", "-t", "HEAD"],
    "slow read": ["-X", "-w", "10", "-y", "20", "-n", "5", "-z", "32", "-k", "3"],
}
PROXY_CORE, LOAD_CORE = 0, 1
EVERY = 0.05
#: An honest client gives up after this.
PATIENCE = 10.0

NGINX = """daemon off; worker_processes 1; worker_rlimit_nofile 20000; pid {own}/nginx.pid;
error_log {own}/nginx.log crit; events {{ worker_connections 19000; }}
http {{ access_log off; client_body_temp_path {own}/a; proxy_temp_path {own}/b;
fastcgi_temp_path {own}/c; uwsgi_temp_path {own}/d; scgi_temp_path {own}/e;
{rest} }}
"""
FRONT = """upstream app {{ server 127.0.0.1:{origin}; keepalive 64; }}
server {{ listen 127.0.0.1:{port} backlog=4096; location / {{ proxy_pass http://app;
proxy_http_version 1.1; proxy_set_header Connection ""; }} }}"""
ORIGIN = """server {{ listen 127.0.0.1:{port} backlog=4096 sndbuf=64k; root {own}/www;
location /up {{ return 200 "ok"; }} }}"""
HAPROXY = """global
  nbthread 1
  maxconn 9000
defaults
  mode http
  maxconn 9000
  backlog 4096
  timeout connect 5s
  timeout client 30s
  timeout server 30s
  timeout http-request 10s
frontend web
  bind 127.0.0.1:{port}
  default_backend app
backend app
  server a 127.0.0.1:{origin}
"""
EVENER = """evener: {{run: "{own}/run", state: "{own}/state", shards: 1, log: {{access: off}}}}
listeners: {{web: {{bind: "127.0.0.1:{port}", pool: app}}}}
pools: {{app: {{servers: ["127.0.0.1:{origin}"], buffer: {{request: 64KiB}}}}}}
"""


@dataclass
class Honest:
    """A client that asks all along."""

    port: int
    waits: list[float] = field(default_factory=list)
    failed: int = 0
    _over: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Asks until told otherwise."""
        while not self._over.wait(EVERY):
            began = time.monotonic()
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
            try:
                connection.request("GET", "/small")
                self.failed += connection.getresponse().status != 200
            except (OSError, http.client.HTTPException):
                self.failed += 1
            finally:
                connection.close()
            self.waits.append(time.monotonic() - began)

    @contextmanager
    def asking(self) -> Iterator[None]:
        """While this is open."""
        thread = threading.Thread(target=self.run)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()


def command(name: str, own: Path, port: int, origin: int) -> list[str]:
    """How a program is started, its configuration written."""
    values = {"own": str(own), "port": port, "origin": origin}
    match name:
        case "nginx":
            file = own / "nginx.conf"
            file.write_text(NGINX.format(own=own, rest=FRONT.format(**values)))
            return ["nginx", "-c", str(file), "-p", str(own), "-e", "stderr"]
        case "haproxy":
            file = own / "haproxy.cfg"
            file.write_text(HAPROXY.format(**values))
            return ["haproxy", "-db", "-f", str(file)]
        case _:
            file = own / "evener.yaml"
            file.write_text(EVENER.format(**values))
            return [str(INSTALLED), "run", str(file)]


@contextmanager
def origin_in(own: Path) -> Iterator[int]:
    """The server behind: a small file and one of 1 MiB."""
    own.chmod(0o755)
    (own / "www").mkdir()
    (own / "www" / "small").write_text("small\n")
    (own / "www" / "large").write_bytes(b"x" * (1 << 20))
    (port,) = free_ports(1)
    file = own / "origin.conf"
    file.write_text(NGINX.format(own=own, rest=ORIGIN.format(own=own, port=port)))
    running = start("origin", ["nginx", "-c", str(file), "-e", "stderr"], LOAD_CORE, own)
    try:
        running.wait_for_port(port)
        yield port
    finally:
        running.stop()


def connected(port: int) -> int:
    """Established connections to a port, as the kernel counts them."""
    wanted = f":{port:04X}"
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return sum(1 for line in lines if line.split()[1].endswith(wanted) and line.split()[3] == "01")


def attack(mode: str, port: int, count: int, seconds: int) -> subprocess.Popen[bytes]:
    """Starts slowhttptest."""
    target = "/up" if mode == "slow body" else "/large"
    common = ["-c", str(count), "-r", "1000", "-l", str(seconds), "-i", "5", "-p", "10"]
    words = ["slowhttptest", *MODES[mode], *common, "-u", f"http://127.0.0.1:{port}{target}"]
    return subprocess.Popen(
        ["taskset", "-c", str(LOAD_CORE), *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def measure(running: Running, mode: str, port: int, count: int, seconds: int) -> str:
    """One cell of the table: the longest honest wait, when they were shed, memory."""
    before, peak, most, shed = resident_kib(running.pid), 0.0, 0, None
    honest = Honest(port)
    with honest.asking():
        time.sleep(1)
        began = time.monotonic()
        attacker = attack(mode, port, count, seconds)
        while time.monotonic() < began + seconds and attacker.poll() is None:
            time.sleep(0.5)
            now = connected(port)
            most = max(most, now)
            peak = max(peak, resident_kib(running.pid) - before)
            if shed is None and most > count / 2 and now <= most / 20:
                shed = time.monotonic() - began
        if attacker.poll() is None:
            attacker.terminate()
        elif shed is None and connected(port) <= most / 20:
            shed = time.monotonic() - began
        attacker.wait()
    when = f"{shed:.0f} s" if shed is not None else f"not within {seconds} s"
    failed = f", {honest.failed} of {len(honest.waits)} failed" if honest.failed else ""
    return f"{max(honest.waits) * 1000:.0f} ms{failed} · {when} · {peak / 1024:.0f} MiB"


def version(name: str) -> str:
    """What a program calls itself."""
    words = {"nginx": ["nginx", "-v"], "haproxy": ["haproxy", "-v"]}
    done = subprocess.run(
        words.get(name, [str(INSTALLED), "--version"]), capture_output=True, text=True, check=True
    )
    line = (done.stdout + done.stderr).splitlines()[0]
    return (
        line.rpartition("/")[2]
        if name == "nginx"
        else next(word for word in line.split() if word[0].isdigit())
    )


def cell(name: str, mode: str, directory: Path, origin: int, size: tuple[int, int]) -> str:
    """One program under one attack, freshly started."""
    own = Path(tempfile.mkdtemp("", f"{name}-", directory))
    own.chmod(0o777)
    (port,) = free_ports(1)
    running = start(name, command(name, own, port, origin), PROXY_CORE, own)
    try:
        running.wait_for_port(port)
        return measure(running, mode, port, *size)
    finally:
        running.stop()


def table(count: int, seconds: int) -> str:
    """The whole table, as it stands in the docs."""
    names = [f"{name} {version(name)}" for name in PROGRAMS]
    rows: dict[str, list[str]] = {mode: [] for mode in MODES}
    with (
        tempfile.TemporaryDirectory("", "evener-slow-") as directory,
        origin_in(Path(directory)) as origin,
    ):
        for name, mode in itertools.product(PROGRAMS, MODES):
            rows[mode].append(cell(name, mode, Path(directory), origin, (count, seconds)))
            print(f"{name}, {mode}: {rows[mode][-1]}", file=sys.stderr)
    lines = [f"| mode | {' | '.join(names)} |", f"|---|{'---|' * len(names)}"]
    lines += [f"| {mode} | {' | '.join(cells)} |" for mode, cells in rows.items()]
    return "\n".join(lines)


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m bench.slow", description=__doc__)
    parser.add_argument("--connections", type=int, default=4000)
    parser.add_argument("--seconds", type=int, default=60)
    options = parser.parse_args()
    needed = {"slowhttptest": "/usr/bin/slowhttptest", "nginx": "/usr/sbin/nginx"}
    try:
        debian.provide({**needed, "haproxy": "/usr/sbin/haproxy"}, "slow clients")
        print(table(options.connections, options.seconds))
    except (MachineError, debian.Missing) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    os.environ.setdefault("LC_ALL", "C")
    sys.exit(main())
