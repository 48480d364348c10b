"""Golden pairs: each `tests/golden/NAME.yaml` compiles to `NAME.plan.json`, key for key.

The same plans are read by the cargo test of evener-plan, so both sides agree on the form. To
write them anew after a change that is meant: `python -m tests.unit.compile.test_golden`.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evener.compile import Facts, compile
from evener.config import Config

GOLDEN = Path(__file__).parents[2] / "golden"
PAIRS = sorted(GOLDEN.glob("*.yaml"))
NAMES = {"web1": ["10.0.0.11", "2001:DB8::11"], "web2": ["10.0.0.12"]}
ENV = {"PORT": "8443"}


def plan_text(path: Path) -> str:
    config = Config.load(path, env=ENV)
    compiled = compile(config, resolve=NAMES, facts=Facts(descriptors=10_000))
    return json.dumps(compiled.plan, indent=1, ensure_ascii=False) + "\n"


@pytest.mark.parametrize("path", PAIRS, ids=lambda path: path.stem)
def test_a_golden_file_compiles_to_its_plan(path: Path) -> None:
    assert json.loads(plan_text(path)) == json.loads(path.with_suffix(".plan.json").read_text())


def test_there_are_golden_pairs() -> None:
    assert PAIRS


if __name__ == "__main__":
    for pair in PAIRS:
        pair.with_suffix(".plan.json").write_text(plan_text(pair))
