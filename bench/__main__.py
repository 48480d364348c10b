"""The bench's command line: choose rows and proxies, run, print the table, keep it if asked."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

from bench import report, tables
from bench.machine import MachineError, install_missing
from bench.profile import profile
from bench.proxies import NAMES, default_evener, version
from bench.rounds import Settings, run_row
from bench.rows import ROWS, chosen
from bench.stage import Servers, set_up


def parsed(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The options, checked."""
    parser = argparse.ArgumentParser(
        prog="python3 -m bench",
        description="Pairs Evener with nginx and HAProxy: what each costs per request.",
        epilog="Rows: " + ", ".join(row.name for row in ROWS),
    )
    add = parser.add_argument
    add("--rows", help="comma-separated rows; all of them by default")
    add("--rounds", type=int, default=7, help="interleaved rounds (7)")
    add("--seconds", type=float, default=2.0, help="load per proxy and round, in seconds (2)")
    add("--only", default=",".join(NAMES), help=f"comma-separated proxies ({','.join(NAMES)})")
    add("--quick", action="store_true", help="3 rounds of 1 s, 1,000 idle connections: a look")
    add("--evener-cmd", help="how Evener starts, with {config}, {plan} and {secrets} filled in")
    add("--cores", default="0,1", help="the proxy's core and the load's (0,1)")
    kinds = [one.value for one in Servers]
    add("--servers", default=Servers.SMALL.value, choices=kinds, help="what is behind (small)")
    add("--write", action="store_true", help="put the table into bench/RESULTS.md")
    add("--profile", metavar="PROXY", help="perf record PROXY under the first chosen row instead")
    options = parser.parse_args(arguments)
    unknown = set(options.only.split(",")) - set(NAMES)
    if unknown:
        parser.error(f"no such proxy: {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    try:
        options.chosen_rows = chosen(options.rows)
    except ValueError as error:
        parser.error(str(error))
    if options.quick:
        options.rounds, options.seconds = 3, 1.0
    return options


def main() -> int:
    """Runs what was asked for. 0 when every bound held (or may miss), 1 otherwise."""
    options = parsed()
    names = [name for name in NAMES if name in options.only.split(",")]
    proxy_core, load_core = (int(core) for core in options.cores.split(","))
    try:
        install_missing()
        wanted = "evener" in names if options.profile is None else options.profile == "evener"
        evener = options.evener_cmd or (default_evener() if wanted else "")
        os.sched_setaffinity(0, {load_core})
        with set_up(proxy_core, load_core, Servers(options.servers)) as stage:
            if options.profile:
                return profile(options.profile, options.chosen_rows[0], stage, evener)
            idle = 1_000 if options.quick else 10_000
            settings = Settings(options.rounds, options.seconds, idle, evener, _say)
            results = [run_row(row, names, stage, settings) for row in options.chosen_rows]
    except MachineError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    text = report.table(results, {name: version(name, evener) for name in names})
    print(text)
    if options.write:
        tables.put(tables.ROWS, f"{_setting(options)}\n\n{text}")
    errors = any(one.errors for one in results)
    if "evener" not in names:
        return 1 if errors else 0
    return 0 if report.passed([report.judge(one) for one in results]) else 1


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _setting(options: argparse.Namespace) -> str:
    proxy_core, load_core = options.cores.split(",")
    return (
        f"{datetime.now(UTC).date()}, {os.cpu_count()} cores, Linux {platform.release()}, "
        f"{options.rounds} interleaved rounds of {options.seconds:g} s, "
        f"proxy on core {proxy_core}, load and servers ({options.servers}) on core {load_core}."
    )


if __name__ == "__main__":
    sys.exit(main())
