"""The programs under test: how each is started, and which version it is.

Rules kept here:
- Each has one configuration file in this folder, filled in by the stage; nothing else tunes it.
  Rivals run twice: as their manuals set them up, and with what was found to make them faster.
- Each runs on the proxy core alone, and is reached by ports of its own.
Not known here: what is asked of it.
"""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.machine import MachineError, Running, start
from bench.rows import Row, Way
from bench.stage import HERE, Stage, fill

RIVALS = ("nginx", "haproxy")
TUNED = ("nginx-tuned", "haproxy-tuned")
NAMES = (*RIVALS, *TUNED, "evener", "relay")
ROOT = HERE.parent
NO_TLS: dict[str, list[str]] = {"certificates": []}
INSTALLED = ROOT / ".venv" / "bin" / "evener"


@dataclass(frozen=True)
class Proxy:
    """A proxy that runs."""

    name: str
    running: Running
    ports: Mapping[Way, int]


def start_proxy(name: str, stage: Stage, rows: Collection[Row], evener: str) -> Proxy:
    """Starts one of NAMES and returns once it accepts.

    Args:
        rows: What it will be asked; the plan for a bare engine holds only their listeners.
        evener: How Evener is started. `{config}` is its YAML file, `{plan}` its plan as JSON,
            `{secrets}` the JSON with the plan's secrets.

    Raises:
        MachineError: It did not start; the message has its last words.
    """
    values = stage.for_proxy(name)
    ways = {row.way for row in rows} | {Way.HTTP}  # the one that all have shows that it is up
    command = _command(name, stage, values, ways, evener)
    running = start(name, command, stage.proxy_core, Path(values["BENCH_DIR"]))
    ports = {way: int(values[way.value]) for way in Way}
    try:
        # Not the stream's port: iperf3 would take the probe for its one client.
        for way in ways - {Way.STREAM} if name != "relay" else {Way.HTTP}:
            running.wait_for_port(ports[way])
    except MachineError:
        running.stop()
        raise
    return Proxy(name, running, ports)


def _command(
    name: str, stage: Stage, values: Mapping[str, str], ways: Collection[Way], evener: str
) -> list[str]:
    own = values["BENCH_DIR"]
    match name:
        case "nginx" | "nginx-tuned":
            config = fill(HERE / "nginx.conf", values, name in TUNED)
            return ["nginx", "-c", str(config), "-p", own]
        case "haproxy" | "haproxy-tuned":
            return ["haproxy", "-db", "-f", str(fill(HERE / "haproxy.cfg", values, name in TUNED))]
        case "relay":
            origins = [values[f"BENCH_ORIGIN{n}"] for n in (1, 2, 3)]
            return [stage.program("relay"), values["BENCH_HTTP"], *origins]
        case _:
            return _evener_command(stage, values, ways, evener)


def _evener_command(
    stage: Stage, values: Mapping[str, str], ways: Collection[Way], evener: str
) -> list[str]:
    plan = only_listeners(
        json.loads(fill(HERE / "plan.json", values).read_text()),
        {values[way.value] for way in ways},
    )
    own = Path(values["BENCH_DIR"])
    files = {
        "config": fill(HERE / "evener.yaml", values),
        "plan": own / "plan.json",
        "secrets": own / "secrets.json",
    }
    pem = (own / "both.pem").read_text()
    secrets = {
        name: pem for one in plan["listeners"] for name in (one["tls"] or NO_TLS)["certificates"]
    }
    files["plan"].write_text(json.dumps(plan))
    files["secrets"].write_text(json.dumps(secrets))
    return filled_command(evener, files)


def filled_command(evener: str, files: Mapping[str, Path]) -> list[str]:
    """How Evener is started, with its files filled in, as words."""
    return [word.format(**files) for word in shlex.split(evener)]


def only_listeners(plan: dict[str, Any], ports: Collection[str]) -> dict[str, Any]:
    """The plan without the listeners on other ports, so that a part of an engine can be run."""
    kept = [one for one in plan["listeners"] if one["bind"][0].rpartition(":")[2] in ports]
    return {**plan, "listeners": kept}


def default_evener() -> str:
    """How the installed Evener is started.

    Raises:
        MachineError: It is not installed.
    """
    if not INSTALLED.exists():
        raise MachineError(
            "Evener is not built yet: make setup (or bench others: --only nginx,haproxy)"
        )
    return f"{INSTALLED} run {{config}}"


def version(name: str, evener: str) -> str:
    """What the program calls itself, in a few words."""
    match name:
        case "nginx" | "nginx-tuned":
            return _first_line(["nginx", "-v"]).rpartition("/")[2]
        case "haproxy" | "haproxy-tuned":
            return _first_line(["haproxy", "-v"]).split()[2]
        case "relay":
            return "bench/relay.c"
        case _:
            if shlex.split(evener)[0] == str(INSTALLED):
                return _first_line([str(INSTALLED), "--version"])
            return Path(shlex.split(evener)[0]).name


def _first_line(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return (done.stdout + done.stderr).splitlines()[0]
