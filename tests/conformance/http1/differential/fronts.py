"""Start the three programs, each with several doors before strict origins of ours.

Rules kept here: each is configured as its own documentation has it for a proxy that keeps its
connections and passes upgrades; nothing is loosened, nothing hardened.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.conformance.http1.origin import StrictOrigin
from tests.e2e.rig.instance import Evener
from tests.e2e.rig.places import fresh_address
from tests.e2e.rig.processes import Process, program
from tests.e2e.rig.programs import answers
from tests.e2e.rig.waiting import eventually

NAMES = ("evener", "nginx", "haproxy")


@dataclass(frozen=True)
class Door:
    """An address of one of the programs, and the origin that only it leads to."""

    front: str
    address: str
    origin: StrictOrigin


class Fronts:
    """The three, each with as many doors.

    Args:
        home: A directory of their own.
        doors: How many each has.
        ends: What ends them.
    """

    def __init__(self, home: Path, doors: int, ends: ExitStack) -> None:
        self.home = home
        self.doors: dict[str, list[Door]] = {}
        for name in NAMES:
            self.doors[name] = []
            for _ in range(doors):
                origin = StrictOrigin(patience=10.0)
                ends.callback(origin.close)
                self.doors[name].append(Door(name, fresh_address(), origin))
        evener = Evener(home)
        ends.callback(evener.clean_up)
        evener.start(_evener(self.doors["evener"]), shards=1)
        for name, command in (("nginx", self._nginx()), ("haproxy", self._haproxy())):
            process = Process(name, command, home)
            ends.callback(process.end)
            for door in self.doors[name]:
                eventually(
                    lambda door=door: answers(door.address),
                    what=f"{name} is there: {process.words()}",
                )

    def causes(self) -> dict[str, str]:
        """By the client's address, why Evener refused it or what it answered."""
        found: dict[str, str] = {}
        for line in (self.home / "access.log").read_text().splitlines():
            entry = json.loads(line)
            cause = entry.get("error.detail") or entry.get("error.type")
            if cause:
                found.setdefault(entry["client.address"], cause)
        return found

    def _nginx(self) -> list[str]:
        home, doors = self.home, self.doors["nginx"]
        temps = "".join(
            f"{kind}_temp_path {home}/{kind};\n"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        servers = "".join(
            f"upstream u{at} {{ server {door.origin.address} max_fails=0; keepalive 8; }}\n"
            f"server {{ listen {door.address}; location / {{ proxy_pass http://u{at}; }} }}\n"
            for at, door in enumerate(doors)
        )
        (home / "nginx.conf").write_text(
            f"daemon off; worker_processes 1; pid {home}/nginx.pid;\n"
            "events { worker_connections 1024; }\n"
            f"http {{ access_log off; {temps}proxy_http_version 1.1;\n"
            "map $http_upgrade $connection_upgrade { default upgrade; '' ''; }\n"
            "proxy_set_header Host $host; proxy_set_header Upgrade $http_upgrade;\n"
            "proxy_set_header Connection $connection_upgrade; proxy_next_upstream off;\n"
            f"{servers}}}\n"
        )
        command = [program("nginx"), "-c", str(home / "nginx.conf"), "-e", "stderr"]
        return [*command, "-p", str(home)]

    def _haproxy(self) -> list[str]:
        doors = "".join(
            f"frontend f{at}\n bind {door.address}\n default_backend b{at}\n"
            f"backend b{at}\n server one {door.origin.address}\n"
            for at, door in enumerate(self.doors["haproxy"])
        )
        (self.home / "haproxy.cfg").write_text(
            "defaults\n mode http\n timeout connect 5s\n timeout client 30s\n"
            f" timeout server 30s\n retries 0\n{doors}"
        )
        return [program("haproxy"), "-db", "-f", str(self.home / "haproxy.cfg")]


def versions() -> dict[str, str]:
    """What of nginx and HAProxy is asked."""
    return {
        "nginx": _version([program("nginx"), "-v"], r"nginx/(\S+)"),
        "haproxy": _version([program("haproxy"), "-v"], r"version (\d+\.\d+\.\d+)"),
    }


def _version(command: Sequence[str], pattern: str) -> str:
    done = subprocess.run(list(command), capture_output=True, text=True, check=True)
    found = re.search(pattern, done.stdout + done.stderr)
    assert found, done
    return found[1]


def _evener(doors: Sequence[Door]) -> str:
    listeners = {
        f"d{at}": {"bind": door.address, "pool": f"d{at}"} for at, door in enumerate(doors)
    }
    pools = {
        f"d{at}": {"servers": [door.origin.address], "passive": "off"}
        for at, door in enumerate(doors)
    }
    return f"listeners: {json.dumps(listeners)}\npools: {json.dumps(pools)}\n"
