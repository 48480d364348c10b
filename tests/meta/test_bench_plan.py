"""The bench's two forms of one configuration agree: its plan is what its YAML compiles to."""

import json
from pathlib import Path

from bench.stage import HERE, PORTS, PROXY_PORTS, fill
from evener.compile import Facts, compile
from evener.config import Config


def test_the_plan_for_a_bare_engine_is_what_the_yaml_compiles_to(tmp_path: Path) -> None:
    values = {f"BENCH_{name}": str(20000 + at) for at, name in enumerate((*PORTS, *PROXY_PORTS))}
    values["BENCH_DIR"] = str(tmp_path)
    config = Config.load(fill(HERE / "evener.yaml", values))
    compiled = compile(config, resolve={}, facts=Facts(descriptors=20000))
    assert compiled.plan == json.loads(fill(HERE / "plan.json", values).read_text())
    assert compiled.settings.shards == 1
