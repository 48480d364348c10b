"""The fuzz targets are whole: each is built, run, seeded; and the planted bugs can be planted."""

import re
from pathlib import Path

from tests.acceptance.names import ROOT
from tests.mutants import planted
from tests.mutants.edits import stale

FUZZ = ROOT / "fuzz"


def targets() -> list[str]:
    """The names of all targets, as the crate lists them."""
    found = re.findall(r'\("(\w+)", \w+\),', (FUZZ / "src" / "lib.rs").read_text())
    assert found
    return found


def test_every_target_is_built_run_and_seeded() -> None:
    manifest, run = ((FUZZ / name).read_text() for name in ("Cargo.toml", "run.sh"))
    named = re.search(r"targets=\$\{\*:-([\w ]+)\}", run)
    assert named is not None and named[1].split() == targets()
    for name in targets():
        assert f'name = "{name}"\npath = "fuzz_targets/{name}.rs"' in manifest
        assert (FUZZ / "fuzz_targets" / f"{name}.rs").is_file()
        assert len(list((FUZZ / "seeds" / name).iterdir())) >= 5
        assert (FUZZ / "regressions" / name).is_dir()


def test_every_target_begins_with_its_invariant() -> None:
    for name in targets():
        assert "Invariant, in words" in _charter(FUZZ / "src" / f"{name}.rs"), name


def test_three_bugs_can_be_planted() -> None:
    every = planted.planted()
    assert len(every) >= 3
    assert {one.target for one in every} <= set(targets())
    assert stale(ROOT, [one.edit for one in every]) == []


def _charter(path: Path) -> str:
    lines = path.read_text().splitlines()
    return "\n".join(line for line in lines if line.startswith("//!"))
