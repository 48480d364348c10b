"""Write the profile that builds are laid out by: `make profile`, when the request path has changed.

    python3 -m bench.training [--seconds 3]

The engine is built once with counters, and runs under every row of the bench and under the loads of
`loads.py` (what the rows leave out: bodies, routes, FastCGI, a log …). What it counted is merged
into `crates/evener-py/engine.profdata`.

Rules kept here:
- Every load counts alike, whatever its rate: a profile of the fastest alone would lay out the rest
  as if nobody asked for it.
- A load with a wrong answer trains nothing: it ends the run.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

from bench import load
from bench.machine import MachineError, install_missing
from bench.proxies import start_proxy
from bench.rows import ROWS, Work
from bench.stage import Servers, Stage, set_up
from bench.training import loads
from house import build

ROOM = build.ROOT / "target" / "training"
#: Counts of a run are brought to about this many, so that loads weigh alike.
ALIKE = 1_000_000_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Trains; 1 with words on stderr when it cannot."""
    parser = argparse.ArgumentParser(prog="python3 -m bench.training", description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="load per row, in seconds (3)")
    parser.add_argument("--cores", default="0,1", help="the proxy's core and the load's (0,1)")
    options = parser.parse_args(arguments)
    proxy_core, load_core = (int(core) for core in options.cores.split(","))
    try:
        install_missing()
        tool = _profdata()
        site = _instrumented()
        os.sched_setaffinity(0, {load_core})
        counts = ROOM / "counts"
        for old in counts.glob("*"):
            old.unlink()
        with set_up(proxy_core, load_core, Servers.NGINX) as stage:
            _rows(stage, site, options.seconds)
            with loads.started(stage, lambda name: _command(site, name)) as others:
                for one in others:
                    print(f"  {one.name}: {one.run(stage, options.seconds)} answers", flush=True)
        _merge(tool, counts)
    except (MachineError, load.WrongAnswer, subprocess.CalledProcessError) as error:
        print(f"training: {error}", file=sys.stderr)
        return 1
    return 0


def _profdata() -> str:
    """The compiler's own tool for profiles: another version's may not read what it writes."""
    words = ["rustc", "--print", "target-libdir"]
    path = build.search_path()
    done = subprocess.run(
        words, check=True, capture_output=True, text=True, env={**os.environ, "PATH": path}
    )
    tool = Path(done.stdout.strip()).parent / "bin" / "llvm-profdata"
    if not tool.exists():
        raise MachineError("a profile needs llvm-profdata: rustup component add llvm-tools")
    return str(tool)


def _instrumented() -> Path:
    """The package with an engine that counts; the folder to import it from."""
    flags = {
        "RUSTFLAGS": f"-Cprofile-generate={ROOM / 'counts'}",
        "CARGO_TARGET_DIR": str(ROOM / "build"),
    }
    wheel = build.wheel(ROOM, {**build.as_shipped(), "PATH": build.search_path(), **flags})
    site = ROOM / "site"
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(site)
    return site


def _command(site: Path, name: str) -> str:
    """How that engine is started, to count into files of this name."""
    program = "import sys; from evener.cli import main; sys.exit(main())"
    python = build.ROOT / ".venv" / "bin" / "python"
    counts = f"LLVM_PROFILE_FILE={ROOM / 'counts'}/{name}-%p.profraw"
    words = ["env", f"PYTHONPATH={site}", counts, str(python), "-c", program, "run", "{config}"]
    return shlex.join(words)


def _rows(stage: Stage, site: Path, seconds: float) -> None:
    for row in ROWS:
        if row.work is Work.IDLE:
            continue
        proxy = start_proxy("evener", stage, [row], _command(site, row.name))
        try:
            served = load.run(row, proxy.ports[row.way], stage, seconds)
        finally:
            proxy.running.stop(patience=30)
        print(f"  {row.name}: {served.units:.0f} {row.unit.partition('/')[2]}s", flush=True)


def _merge(tool: str, counts: Path) -> None:
    """One profile of all runs, each weighed by the inverse of what it counted."""
    inputs = []
    for raw in sorted(counts.glob("*.profraw")):
        shown = subprocess.run(
            [tool, "show", str(raw)], check=True, capture_output=True, text=True
        ).stdout
        inputs.append(f"--weighted-input={weight(shown)},{raw}")
    out = build.ROOT / build.PROFILE
    subprocess.run([tool, "merge", "--sparse", *inputs, "-o", str(out)], check=True)
    print(
        f"{out.relative_to(build.ROOT)}: {out.stat().st_size / 1024:.0f} KiB of {len(inputs)} runs"
    )


def weight(shown: str) -> int:
    """What a run counts for, by the words of `llvm-profdata show`: less, the more it counted."""
    [total] = [line for line in shown.splitlines() if line.startswith("Total count:")]
    return max(1, ALIKE // max(1, int(total.partition(":")[2])))


if __name__ == "__main__":
    sys.exit(main())
