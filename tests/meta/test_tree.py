"""The repository's rooms, pages and targets are those promised."""

import re
import tomllib
from pathlib import Path

import pytest

from house.rules.sources import NOT_OURS, everything

ROOT = Path(__file__).parents[2]
TARGETS = (
    "setup",
    "wheel",
    "demo",
    "test",
    "check",
    "accept",
    "bench",
    "profile",
    "fuzz",
    "mutants",
    "gen",
)
PAGES = (
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "LICENSE",
    "CHANGELOG.md",
    "docs/design/dependencies.md",
    "Cargo.lock",
    "requirements/dev.txt",
    ".ci/run",
    ".ci/budget",
)


def test_no_room_is_empty() -> None:
    rooms = [path for path in (ROOT / "src" / "evener").rglob("*") if path.is_dir()]
    rooms += [path / "src" for path in (ROOT / "crates").iterdir() if path.is_dir()]
    empty = [
        str(room.relative_to(ROOT))
        for room in rooms
        if not NOT_OURS & set(room.relative_to(ROOT).parts)
        if not any(path.name != "__init__.py" for path in room.iterdir())
    ]
    assert empty == []


@pytest.mark.parametrize("page", PAGES)
def test_the_pages_are_there(page: str) -> None:
    assert (ROOT / page).read_text().strip()


def recipe(target: str) -> str:
    """The commands of a target of the Makefile."""
    found = re.search(rf"(?m)^{target}:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text())
    assert found is not None, target
    return found[1]


def test_every_workspace_of_cargo_is_tested_and_checked() -> None:
    manifests = [ROOT / "Cargo.toml", *ROOT.glob("*/Cargo.toml"), *ROOT.glob("crates/*/Cargo.toml")]
    own = [path for path in manifests if "[workspace]" in path.read_text().splitlines()]
    assert len(own) == 2
    for path in own:
        name = str(path.relative_to(ROOT))
        which = "--workspace" if name == "Cargo.toml" else f"--manifest-path {name}"
        assert f"cargo test {which} " in recipe("test-rust"), name
        assert f"cargo clippy {which} --all-targets" in recipe("check"), name
        assert f"cargo fmt {which.replace('--workspace', '--all')} --check" in recipe("check"), name


def test_every_room_with_python_is_checked() -> None:
    rooms = {path.relative_to(ROOT).parts[0] for path in everything(ROOT, ".py")}
    typed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mypy"]["files"]
    assert set(typed) == rooms
    for command in re.findall(r"ruff (?:format|check) .*", recipe("check")):
        assert {word for word in command.split() if (ROOT / word).is_dir()} == rooms


def test_the_makefile_has_its_targets() -> None:
    found = re.findall(r"(?m)^([a-z]+):", (ROOT / "Makefile").read_text())
    assert [target for target in TARGETS if target not in found] == []
