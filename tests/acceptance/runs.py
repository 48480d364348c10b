"""Carry proofs out: every test file and crate once, commands where they mean something.

Rules kept here:
- A test tells its figure by `record_property("figure", "…")`, a test in Rust by a printed line
  `figure: …`; the rest is in the runners' own reports.
- A test that was named and not seen in the report was not measured, whatever the runner says.
- `make demo` and `.ci/run` run in a fresh clone of what is committed: their time is from nothing
  (but for what cargo and pip keep of downloads), and is held against its bound here.
Not known here: what a clause is.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from xml.etree import ElementTree

from tests.acceptance import bench_page
from tests.acceptance.names import ROOT, crate
from tests.acceptance.page import Kind, Proof
from tests.acceptance.verdicts import Result, Verdict, together

# Seconds from a fresh clone to the end (issue 3, §1: 6 minutes cold on two cores). `.ci/run`
# holds itself to its budget.
CLONED = {"make demo": 360.0, ".ci/run": None}

# Characters of a failed command's output that are shown.
TAIL = 6000

_RUST_LINE = re.compile(r"(?m)^test (?:\S+::)?(\w+)(?: - should panic)? \.\.\. (ok|FAILED)")
_RUST_FIGURE = re.compile(
    r"(?ms)^---- (?:\S+::)?(\w+) stdout ----$(?:(?!^----).)*?^figure: ([^\n]+)"
)


def pytest(proofs: Iterable[Proof]) -> dict[Proof, Result]:
    """Python's tests: those that need the machine to themselves after the others."""
    wanted = list(proofs)
    nodes = sorted({str(proof) for proof in wanted})
    seen: list[tuple[str, Result]] = []
    for options in (["-n", "2", "--dist", "loadgroup", "-m", "not alone"], ["-m", "alone"]):
        with tempfile.NamedTemporaryFile(suffix=".xml") as report:
            command = [sys.executable, "-m", "pytest", "-q", "-o", "junit_family=xunit1"]
            command += [f"--junitxml={report.name}", *options, *nodes]
            subprocess.run(command, cwd=ROOT, check=False, stdout=sys.stderr)
            seen += junit(Path(report.name).read_text())
    return {proof: together([one for node, one in seen if _is(proof, node)]) for proof in wanted}


def junit(text: str) -> list[tuple[str, Result]]:
    """The tests of a pytest report (xunit1): node without parameters, and what came of it."""
    if not text:
        return []
    return [_case(case) for case in ElementTree.fromstring(text).iter("testcase")]


def cargo(group: str, proofs: Iterable[Proof]) -> dict[Proof, Result]:
    """A crate's tests, all of them."""
    command = ["cargo", "test", "--locked", "--quiet", "--lib", "--bins", "--tests"]
    command += ["--no-fail-fast", "--manifest-path", str(crate(group) / "Cargo.toml")]
    # The plain format names each test; with --quiet cargo itself is silent.
    command += ["--", "--format=pretty", "--show-output"]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    if not _RUST_LINE.search(done.stdout):
        print(done.stderr[-4000:], file=sys.stderr)
    return of_cargo(done.stdout, proofs)


def of_cargo(output: str, proofs: Iterable[Proof]) -> dict[Proof, Result]:
    """What a crate's tests printed, for each proof."""
    figures = dict(_RUST_FIGURE.findall(output))
    found: dict[str, list[Result]] = {}
    for name, word in _RUST_LINE.findall(output):
        verdict = Verdict.HELD if word == "ok" else Verdict.FAILED
        figure = figures.get(name, "") if word == "ok" else f"{name} failed"
        found.setdefault(name, []).append(Result(verdict, figure, tests=1))
    return {proof: together(found.get(proof.name, [])) for proof in proofs}


def command(group: str) -> Result:
    """A command of the repository, with the time it took and its last line."""
    if group not in CLONED:
        return _timed(group, ROOT, None)
    with tempfile.TemporaryDirectory(prefix="evener-accept-") as folder:
        clone = Path(folder) / "evener"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        return _timed(group, clone, CLONED[group])


def bench(proofs: Iterable[Proof], anew: bool) -> dict[Proof, Result]:
    """Rows of the bench: out of the last table, or of one that is made now."""
    if anew:
        subprocess.run([sys.executable, "-m", "bench", "--write"], cwd=ROOT, check=False)
    text = (ROOT / "bench" / "RESULTS.md").read_text()
    return {proof: bench_page.result(text, proof.name) for proof in proofs}


def carry_out(proofs: Iterable[Proof], *, bench_anew: bool, cloned: bool) -> dict[Proof, Result]:
    """All of them, each group once; without `cloned` what needs a fresh clone is left out."""
    groups: dict[tuple[Kind, str], list[Proof]] = {}
    for proof in sorted(set(proofs)):
        # One pytest runs all files: it shares its workers among them.
        group = "" if proof.kind is Kind.PYTEST else proof.group
        groups.setdefault((proof.kind, group), []).append(proof)
    results: dict[Proof, Result] = {}
    for (kind, group), members in groups.items():
        print(f"… {group or 'pytest'}", file=sys.stderr, flush=True)
        if kind is Kind.PYTEST:
            results |= pytest(members)
        elif kind is Kind.CARGO:
            results |= cargo(group, members)
        elif kind is Kind.BENCH:
            results |= bench(members, bench_anew)
        elif cloned or group not in CLONED:
            results |= dict.fromkeys(members, command(group))
    return results


def _is(proof: Proof, node: str) -> bool:
    return node == str(proof) or (not proof.name and node.startswith(f"{proof.group}::"))


def _case(case: ElementTree.Element) -> tuple[str, Result]:
    module, file = case.get("classname", ""), case.get("file", "")
    within = module.removeprefix(file.removesuffix(".py").replace("/", ".")).strip(".")
    name = case.get("name", "").partition("[")[0]
    node = "::".join([file, *filter(None, [within.replace(".", "::")]), name])
    failed = [child.tag for child in case if child.tag in {"failure", "error", "skipped"}]
    figures = [
        each.get("value", "") for each in case.iter("property") if each.get("name") == "figure"
    ]
    figure = f"{case.get('name')}: {failed[0]}" if failed else " · ".join(figures)
    verdict = Verdict.FAILED if failed else Verdict.HELD
    return node, Result(verdict, figure, 1, float(case.get("time", "0")))


def _timed(command: str, folder: Path, bound: float | None) -> Result:
    begun = time.monotonic()
    done = subprocess.run(
        command.split(),
        cwd=folder,
        env=_environment(os.environ),
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    took = time.monotonic() - begun
    last = next(iter(reversed((done.stdout.strip() or done.stderr.strip()).splitlines())), "")
    held = done.returncode == 0 and (bound is None or took <= bound)
    if not held:
        print(done.stdout[-TAIL:], done.stderr[-TAIL:], sep="\n", file=sys.stderr)
    most = f" of {bound:.0f} s" if bound is not None else " s"
    figure = f"{took:.0f}{most}" if held else f"{took:.0f}{most}, exit {done.returncode}: {last}"
    return Result(Verdict.HELD if held else Verdict.FAILED, figure)


def _environment(ours: Mapping[str, str]) -> dict[str, str]:
    """Without what would lead a clone to this checkout's builds and packages."""
    leading = {"CARGO_TARGET_DIR", "VIRTUAL_ENV", "PYTHONPATH", "MAKEFLAGS", "MAKELEVEL"}
    return {name: value for name, value in ours.items() if name not in leading}
