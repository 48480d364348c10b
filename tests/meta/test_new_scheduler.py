"""A new scheduler is made in the places that CONTRIBUTING names, and in no other.

`toy_scheduler.patch` adds one; it is applied to a copy, its places are counted, and it runs:
written in a configuration, compiled to a plan, picking as its charter says.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PATCH = Path(__file__).with_name("toy_scheduler.patch")
#: Its own file and where that is listed; the plan's variant; the line that makes it; the schema.
PLACES = {
    "crates/evener-balance/src/schedulers/own/stride.rs",
    "crates/evener-balance/src/schedulers/own.rs",
    "crates/evener-balance/src/schedule.rs",
    "crates/evener-plan/src/scheduler.rs",
    "src/evener/config/schema/scheduler.py",
}
COMPILE = """
import json
from evener.compile import Facts, compile
from evener.config import Config
text = "pools: {app: {servers: '10.0.0.1:80', scheduler: {name: stride, step: 2}}}"
compiled = compile(Config.parse(text, env={}), resolve={}, facts=Facts())
print(json.dumps(compiled.plan["pools"][0]["scheduler"]))
"""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The repository with the patch, without its history and builds."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    engine = [str(path.relative_to(ROOT)) for path in ROOT.glob("src/evener/*.so")]
    for name in [*filter(None, listed.stdout.split("\0")), *engine]:
        if (ROOT / name).is_file() and name.startswith(("crates/", "src/", "Cargo")):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, tmp_path / name)
    subprocess.run(["git", "apply", str(PATCH)], cwd=tmp_path, check=True)
    return tmp_path


def test_a_scheduler_has_five_places() -> None:
    lines = PATCH.read_text().splitlines()
    touched = {line.removeprefix("+++ b/") for line in lines if line.startswith("+++ ")}
    assert touched == PLACES
    removed = [line for line in lines if line.startswith("-") and not line.startswith("---")]
    assert removed == [], "what is there stays as it is"


@pytest.mark.timeout(900)
def test_it_is_configured_compiled_and_picks(copy: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(copy / "src")}
    compiled = subprocess.run(
        [sys.executable, "-c", COMPILE], env=environment, check=True, capture_output=True, text=True
    )
    scheduler = json.loads(compiled.stdout)
    assert scheduler == {"name": "evener/stride", "step": 2}
    servers = [{"weight": 1, "most": 0, "address": f"10.0.0.{at}:80"} for at in range(1, 6)]
    lines = [{"scheduler": scheduler, "servers": servers}, *(["o", {}] for _ in range(5))]
    picked = subprocess.run(
        ["cargo", "run", "--quiet", "--locked", "-p", "evener-balance", "--example", "follow"]
        + ["--config", "profile.dev.package.evener-balance.opt-level=0"],  # five picks
        cwd=copy,
        env={**os.environ, "CARGO_TARGET_DIR": str(ROOT / "target" / "toy")},
        input="".join(json.dumps(line) + "\n" for line in lines),
        check=True,
        capture_output=True,
        text=True,
    )
    assert picked.stdout.split() == ["c", "e", "b", "d", "a"]
