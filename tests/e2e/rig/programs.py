"""The real programs that tests use as peers: nginx, php-fpm, PostgreSQL, uvicorn, wrk, haproxy."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from .places import free_port, fresh_host
from .processes import Process, output_of, program
from .waiting import eventually
from .wire import connect


def answers(address: str) -> bool:
    """Whether a connection to an address is accepted."""
    try:
        connect(address).close()
    except OSError:
        return False
    return True


class Webs:
    """One nginx that is several web servers; each answers `NAME TARGET` and logs what it got.

    Args:
        directory: Its own.
        names: Names of the servers, each with a port of its own.
        large: Each has a file of 1 MiB, too: `/large`. Of what it sends the kernel takes 64 KiB
            ahead: thousands of servers' connections are other machines' memory.
    """

    def __init__(self, directory: Path, names: Sequence[str], large: bool = False) -> None:
        self._directory = directory
        host = fresh_host()
        self.addresses = {name: f"{host}:{free_port(host)}" for name in names}
        bounded, file = "", ""
        if large:
            (directory / "large").write_bytes(b"x" * (1 << 20))
            bounded, file = " sndbuf=64k", f"location = /large {{ root {directory}; }} "
        servers = "".join(
            f"server {{ listen {address} backlog=4096{bounded}; {file}"
            f'location / {{ return 200 "{name} $request_uri"; }} '
            f"access_log {directory}/{name}.log ids buffer=64k flush=100ms; }}\n"
            for name, address in self.addresses.items()
        )
        user = "user root; " if large and os.geteuid() == 0 else ""
        (directory / "nginx.conf").write_text(
            f"daemon off; {user}worker_processes 1; pid {directory}/nginx.pid;\n"
            "events { worker_connections 8192; }\n"
            "http { log_format ids '$msec $request_uri'; keepalive_requests 1000000;\n"
            f"client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy;\n"
            f"fastcgi_temp_path {directory}/fcgi; uwsgi_temp_path {directory}/uwsgi;\n"
            f"scgi_temp_path {directory}/scgi; default_type text/plain;\n{servers}}}\n"
        )
        command = [program("nginx"), "-c", str(directory / "nginx.conf"), "-e", "stderr"]
        self.process = Process("nginx", [*command, "-p", str(directory)], directory)
        for address in self.addresses.values():
            eventually(lambda address=address: answers(address), what=f"nginx on {address}")

    def __getitem__(self, name: str) -> str:
        return self.addresses[name]

    def log(self, name: str) -> list[tuple[float, str]]:
        """When (seconds since 1970) which target came to a server."""
        lines = (self._directory / f"{name}.log").read_text().splitlines()
        return [(float(when), target) for when, target in (line.split(" ", 1) for line in lines)]


class Php:
    """php-fpm with one pool, over TCP or a unix socket."""

    def __init__(self, directory: Path, scripts: Path, unix: bool) -> None:
        host = fresh_host()
        self.address = f"unix:{directory}/php.sock" if unix else f"{host}:{free_port(host)}"
        user = "user = www-data\ngroup = www-data\n" if os.geteuid() == 0 else ""
        mode = "listen.mode = 0666\n" if unix else ""
        (directory / "fpm.conf").write_text(
            f"[global]\ndaemonize = no\nerror_log = {directory}/fpm.log\n"
            f"[www]\n{user}{mode}listen = {self.address.removeprefix('unix:')}\n"
            "pm = static\npm.max_children = 4\nclear_env = yes\n"
            "php_admin_flag[log_errors] = on\nphp_admin_value[error_log] =\n"
        )
        command = [program("php-fpm"), "-F", "-y", str(directory / "fpm.conf"), "-n"]
        self.process = Process("php-fpm", command, directory)
        self.scripts = scripts
        eventually(lambda: answers(self.address), what=f"php-fpm: {self.process.words()}")


class Postgres:
    """A PostgreSQL of its own, run by an unprivileged user; user and database are `test`."""

    def __init__(self, directory: Path) -> None:
        data = directory / "pg"
        data.mkdir()
        self.host = fresh_host()
        self.port = free_port(self.host)
        as_user: list[str] = []
        if os.geteuid() == 0:
            shutil.chown(data, "postgres", "postgres")
            as_user = [program("runuser"), "-u", "postgres", "--"]
        initdb = [*as_user, program("initdb"), "-D", str(data), "-U", "test", "-A", "trust"]
        output_of([*initdb, "-N", "--no-instructions", "-E", "UTF8", "--locale=C"])
        command = [*as_user, program("postgres"), "-D", str(data), "-p", str(self.port)]
        command += ["-c", f"listen_addresses={self.host}", "-c", f"unix_socket_directories={data}"]
        self.process = Process("postgres", [*command, "-c", "fsync=off"], directory)
        self.process.until_says("ready to accept connections")
        psql(f"{self.host}:{self.port}", "create database test", database="postgres")

    @property
    def address(self) -> str:
        """As a server stands in a configuration."""
        return f"{self.host}:{self.port}"


def psql(address: str, statement: str, database: str = "test") -> str:
    """What psql prints for a statement, unaligned, without heads."""
    host, _, port = address.rpartition(":")
    command = [program("psql"), "-h", host, "-p", port, "-U", "test", "-d", database]
    return output_of([*command, "-XAt", "-v", "ON_ERROR_STOP=1", "-c", statement]).strip()


class Uvicorn:
    """uvicorn with an ASGI application of a file, and whatever options a test gives it."""

    def __init__(self, directory: Path, source: str, *options: str) -> None:
        (directory / "application.py").write_text(source)
        host = fresh_host()
        self.address = f"{host}:{free_port(host)}"
        command = [sys.executable, "-m", "uvicorn", "application:app", "--host", host]
        command += ["--port", self.address.rpartition(":")[2], "--log-level", "warning"]
        command += options
        self.process = Process("uvicorn", command, directory)
        eventually(lambda: answers(self.address), 20.0, what=f"uvicorn: {self.process.words()}")


class Haproxy:
    """haproxy in front of one server, by whatever lines a test gives its frontend and backend."""

    def __init__(self, directory: Path, server: str, *lines: str) -> None:
        host = fresh_host()
        self.address = f"{host}:{free_port(host)}"
        (directory / "haproxy.cfg").write_text(
            "defaults\n mode http\n timeout connect 5s\n timeout client 30s\n"
            f" timeout server 30s\nfrontend in\n bind {self.address}\n default_backend out\n"
            "backend out\n" + "".join(f" {line}\n" for line in lines) + f" server one {server}\n"
        )
        command = [program("haproxy"), "-db", "-f", str(directory / "haproxy.cfg")]
        self.process = Process("haproxy", command, directory)
        eventually(lambda: answers(self.address), what=f"haproxy: {self.process.words()}")


class Wrk:
    """wrk for some seconds; `report` waits for its end."""

    def __init__(self, directory: Path, address: str, seconds: int, connections: int = 16) -> None:
        command = [program("wrk"), "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s"]
        self._seconds = seconds
        self.process = Process("wrk", [*command, f"http://{address}/wrk"], directory)

    def report(self) -> dict[str, int]:
        """Requests that were answered, and errors by kind."""
        assert self.process.ended(self._seconds + 20.0) == 0, self.process.words()
        text = self.process.output()
        found = re.search(r"(\d+) requests in", text)
        assert found, text
        numbers = {"requests": int(found[1]), "status": 0}
        if errors := re.search(r"Non-2xx or 3xx responses: (\d+)", text):
            numbers["status"] = int(errors[1])
        kinds = ("connect", "read", "write", "timeout")
        sockets = re.search(
            r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text
        )
        for at, kind in enumerate(kinds, 1):
            numbers[kind] = int(sockets[at]) if sockets else 0
        return numbers
