"""The programs that Evener is compared with, installed as Debian has them: nginx and HAProxy.

Rules kept here:
- One worker, one thread: with more the picks are nobody's to foretell.
- nginx's clock stands still but for what a schedule says (`clock.c`): its failures are counted in
  seconds, and a busy machine must not decide what has run out.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
from pathlib import Path

from tests.conformance.peers.cases import Case

HERE = Path(__file__).parent
WITHIN = 4
"""nginx's fail_timeout in seconds. It lets a server back in the second after that."""


class Program:
    """A running nginx or HAProxy."""

    def __init__(self, case: Case, home: Path) -> None:
        self.case = case
        self.home = home
        self.seconds = 1_000_000_000
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._process: asyncio.subprocess.Process

    async def start(self, weights: list[int], ports: list[int]) -> None:
        configured = nginx_conf if self.case.program == "nginx" else haproxy_conf
        (self.home / "conf").write_text(configured(self, weights, ports))
        command, environment = ["haproxy", "-f", str(self.home / "conf")], dict(os.environ)
        if self.case.program == "nginx":
            command = ["nginx", "-c", str(self.home / "conf"), "-p", str(self.home)]
            self._tell_time()
            environment["EVENER_CLOCK"] = str(self.home / "clock")
            environment["LD_PRELOAD"] = await asyncio.to_thread(built_clock, self.home)
        quiet = subprocess.DEVNULL
        self._process = await asyncio.create_subprocess_exec(
            *command, stderr=quiet, stdout=quiet, env=environment
        )
        await self._wait_until_it_listens()

    async def stop(self) -> None:
        self._process.terminate()
        await self._process.wait()

    def wait(self, seconds: int) -> None:
        """Lets nginx's time pass."""
        self.seconds += seconds
        self._tell_time()

    async def weigh(self, server: int, weight: int) -> None:
        await self._admin(f"set weight u/{letter(server)} {weight}")

    async def take_out_or_back(self, server: int, is_out: bool) -> None:
        state = "maint" if is_out else "ready"
        await self._admin(f"set server u/{letter(server)} state {state}")

    def _tell_time(self) -> None:
        # In place: nginx has mapped the file.
        mode = "r+b" if (self.home / "clock").exists() else "wb"
        with (self.home / "clock").open(mode) as file:
            file.write(self.seconds.to_bytes(8, "little"))

    async def _admin(self, command: str) -> None:
        reader, writer = await asyncio.open_unix_connection(str(self.home / "socket"))
        writer.write(command.encode() + b"\n")
        said = (await reader.read()).decode().strip()
        writer.close()
        if said:
            raise RuntimeError(f"HAProxy to {command!r}: {said}")

    async def _wait_until_it_listens(self) -> None:
        for _ in range(500):
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
            except OSError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                await asyncio.sleep(0.1)  # until it has seen that nobody came
                return
        raise RuntimeError(f"{self.case.program} does not start with {self.home}/conf")


def letter(server: int) -> str:
    """A server's name."""
    return chr(97 + server)


def built_clock(home: Path) -> str:
    """The preloaded clock, compiled."""
    library = home / "clock.so"
    flags = ["-O1", "-shared", "-fPIC", "-Wall", "-Werror"]
    subprocess.run(["gcc", *flags, "-o", str(library), str(HERE / "clock.c")], check=True)
    return str(library)


def nginx_conf(program: Program, weights: list[int], ports: list[int]) -> str:
    """nginx's configuration for a case."""
    case, at = program.case, program.home
    servers = []
    for server, (port, weight, most) in enumerate(zip(ports, weights, case.limits, strict=True)):
        words = [f"server 127.0.0.1:{port} weight={weight} max_fails={case.fails}"]
        words += [f"fail_timeout={WITHIN}s"]
        words += [f"max_conns={most}"] if most else []
        words += ["backup"] if server in case.backups else []
        words += ["down"] if server in case.down else []
        servers.append(" ".join(words) + ";")
    temps = "".join(
        f"{kind}_temp_path {at};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return (
        f"daemon off; worker_processes 1; pid {at}/pid; error_log {at}/errors crit;\n"
        f"events {{ worker_connections 1000; }}\nhttp {{ access_log off; {temps}\n"
        f"upstream u {{ {case.lines} {' '.join(servers)} }}\n"
        f"server {{ listen 127.0.0.1:{program.port}; location / {{ proxy_pass http://u;\n"
        "proxy_next_upstream off; proxy_read_timeout 1h;\n"
        "proxy_set_header X-Op $http_x_op; } } }\n"
    )


def haproxy_conf(program: Program, weights: list[int], ports: list[int]) -> str:
    """HAProxy's configuration for a case."""
    case = program.case
    mode = [" mode http", " option http-server-close", " http-reuse never"]
    if case.tcp:
        mode = [" mode tcp", " tcp-request inspect-delay 5s"]
        mode += [" tcp-request content accept if RDP_COOKIE", " tcp-request content reject"]
    servers = [
        f" server {letter(i)} 127.0.0.1:{port} weight {weight}{f' maxconn {most}' if most else ''}"
        for i, (port, weight, most) in enumerate(zip(ports, weights, case.limits, strict=True))
    ]
    return "\n".join(
        [
            f"global\n stats socket {program.home}/socket level admin\n nbthread 1\ndefaults",
            " timeout client 1h\n timeout server 1h\n timeout connect 1h\n timeout queue 60ms",
            f"listen u\n bind 127.0.0.1:{program.port}",
            *mode,
            f" retries 0\n balance {case.lines}",
            *servers,
            "",
        ]
    )
