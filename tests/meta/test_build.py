"""What ships is built with the profile; a build with settings of its own goes without."""

from pathlib import Path

import pytest

from bench.training.__main__ import weight
from house import build


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Sources with a profile."""
    (tmp_path / build.PROFILE).parent.mkdir(parents=True)
    (tmp_path / build.PROFILE).touch()
    return tmp_path


def test_the_repository_has_a_profile() -> None:
    head = (build.ROOT / build.PROFILE).read_bytes()[:8]
    assert head == b"\xfflprofi\x81"  # an indexed profile of LLVM


def test_what_ships_is_built_by_the_profile(tree: Path) -> None:
    made = build.environment(tree, {"PATH": "/bin", "RUSTFLAGS": "-Cdebuginfo=1"})
    assert made["RUSTFLAGS"].split()[:2] == [
        "-Cdebuginfo=1",
        f"-Cprofile-use={tree / build.PROFILE}",
    ]
    assert made["PATH"].startswith("/bin:")


def test_other_settings_go_without_it(tree: Path) -> None:
    assert "RUSTFLAGS" not in build.environment(tree, {"CARGO_PROFILE_RELEASE_LTO": "off"})


def test_a_tree_without_a_profile_is_built_without(tmp_path: Path) -> None:
    assert "RUSTFLAGS" not in build.environment(tmp_path, {})


def test_a_load_that_counted_little_weighs_more() -> None:
    assert weight("Total functions: 9\nTotal count: 1000000\n") == 1000
    assert weight("Total count: 5000000000\n") == 1
    assert weight("Total count: 0\n") == 1_000_000_000
