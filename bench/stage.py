"""The stage all proxies play on: a directory, ports, bodies, a certificate, the servers behind.

Rules kept here:
- Every name that a configuration file here may use (`${BENCH_…}`) is made here, once.
- Files are read-only patterns; what runs is their copy in the stage's directory.
- All that was made goes when the stage is left, also after an error.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from bench.machine import Running, free_ports, start

HERE = Path(__file__).parent
PORTS = ("ORIGIN1", "ORIGIN2", "ORIGIN3", "IPERF")
PROXY_PORTS = ("HTTP", "HTTPS", "TCP", "STREAM", "ADMIN")
NAME = re.compile(r"\$\{(BENCH_[A-Z0-9]+)\}")

TUNED = "# tuned:"


class Servers(Enum):
    """What stands behind the proxies, on the load's core."""

    SMALL = "small"  # our own: that core is the load's, what servers spend there is taken from it
    NGINX = "nginx"


@dataclass(frozen=True)
class Stage:
    """Where a run takes place.

    Attributes:
        values: What each `${BENCH_…}` stands for, without the proxy's own ports.
        proxy_core: Runs the proxy alone.
        load_core: Runs load, servers and the bench itself.
    """

    directory: Path
    values: Mapping[str, str]
    proxy_core: int
    load_core: int

    def body(self, size: int) -> Path:
        """The file with the body that an answer of this size must have."""
        return self.directory / "www" / {64: "64", 65536: "64k"}[size]

    def program(self, name: str) -> str:
        """Path of one of our own C programs."""
        return str(self.directory / name)

    def for_proxy(self, name: str) -> dict[str, str]:
        """All values for one proxy: the stage's, a directory of its own and ports of its own."""
        own = Path(tempfile.mkdtemp("", f"{name}-", self.directory))
        own.chmod(0o755)
        (own / "tmp").mkdir(parents=True, exist_ok=True)
        for file in ("cert.pem", "key.pem", "both.pem"):
            shutil.copy(self.directory / file, own / file)
        ports = dict(zip(PROXY_PORTS, free_ports(len(PROXY_PORTS)), strict=True))
        return {
            **self.values,
            "BENCH_DIR": str(own),
            **{f"BENCH_{key}": str(port) for key, port in ports.items()},
        }


def fill(pattern: Path, values: Mapping[str, str], tuned: bool = True) -> Path:
    """Writes a configuration with its `${BENCH_…}` names filled in, into BENCH_DIR.

    Args:
        tuned: Whether lines whose reason begins with `tuned:` stay.

    Raises:
        KeyError: The pattern uses a name that nobody defines.
    """
    lines = pattern.read_text().splitlines(keepends=True)
    kept = "".join(line for line in lines if tuned or TUNED not in line)
    text = NAME.sub(lambda found: values[found.group(1)], kept)
    filled = Path(values["BENCH_DIR"]) / pattern.name
    filled.write_text(text)
    return filled


@contextmanager
def set_up(proxy_core: int, load_core: int, servers: Servers = Servers.SMALL) -> Iterator[Stage]:
    """Makes the stage and starts the servers behind the proxies; ends and removes all of it."""
    shm = Path("/dev/shm")  # "from memory" also where the temporary directory is a disk
    with ExitStack() as ends:
        parent = shm if shm.is_dir() else None
        directory = Path(
            ends.enter_context(tempfile.TemporaryDirectory("", "evener-bench-", parent))
        )
        directory.chmod(0o755)  # nginx's worker is another user when we are root
        _write_bodies(directory)
        _write_certificate(directory)
        _build_programs(directory)
        ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
        values = {f"BENCH_{key}": str(port) for key, port in ports.items()}
        values["BENCH_BODY64"] = (directory / "www" / "64").read_text()
        stage = Stage(directory, values, proxy_core, load_core)
        ends.callback(_start_origin(stage, servers).stop)
        ends.callback(_start_iperf(stage).stop)
        yield stage


def _write_bodies(directory: Path) -> None:
    (directory / "tmp").mkdir()
    www = directory / "www"
    www.mkdir()
    # Every 16 bytes differ, so that a piece lost, doubled or moved shows.
    (www / "64k").write_text("".join(f"{at:08x}-evener\n" for at in range(65536 // 16)))
    (www / "64").write_text("".join(f"{at:08x}-evener." for at in range(4)))


def _write_certificate(directory: Path) -> None:
    cert, key = directory / "cert.pem", directory / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        + ["-nodes", "-days", "30", "-subj", "/CN=bench.test"]
        + ["-addext", "subjectAltName=DNS:bench.test"]
        + ["-keyout", str(key), "-out", str(cert)],
        check=True,
        capture_output=True,
    )
    (directory / "both.pem").write_text(cert.read_text() + key.read_text())


def _build_programs(directory: Path) -> None:
    for name, libraries in (
        ("relay", []),
        ("origin", []),
        ("client", ["-lssl", "-lcrypto"]),
    ):
        subprocess.run(
            ["gcc", "-O2", "-D_GNU_SOURCE", "-Wall", "-o", str(directory / name)]
            + [str(HERE / f"{name}.c"), *libraries],
            check=True,
        )


def _start_origin(stage: Stage, servers: Servers) -> Running:
    values = {**stage.values, "BENCH_DIR": str(stage.directory)}
    match servers:
        case Servers.SMALL:
            ports = [values[f"BENCH_ORIGIN{number}"] for number in (1, 2, 3)]
            bodies = [str(stage.body(size)) for size in (64, 65536)]
            command = [stage.program("origin"), *bodies, *ports]
        case Servers.NGINX:
            filled = fill(HERE / "origin.conf", values)
            command = ["nginx", "-c", str(filled), "-p", str(stage.directory)]
    origin = start("origin", command, stage.load_core, stage.directory)
    origin.wait_for_port(int(values["BENCH_ORIGIN1"]))
    return origin


def _start_iperf(stage: Stage) -> Running:
    port = stage.values["BENCH_IPERF"]
    return start("iperf", ["iperf3", "-s", "-p", port], stage.load_core, stage.directory)
