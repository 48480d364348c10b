"""The set-up says what it lacks, in the words that bring it."""

from pathlib import Path

import pytest

from house import build, debian, setup


@pytest.mark.parametrize(
    ("words", "good"),
    [
        ("cargo 1.95.0 (abc 2026-01-01)", True),
        ("cargo 2.0.0", True),
        ("cargo 1.94.1", False),
        ("cargo 0.99.0", False),
        ("", False),
    ],
)
def test_an_old_cargo_is_seen(words: str, good: bool) -> None:
    assert setup.recent_enough(words) is good


def test_a_package_is_known_by_its_files(tmp_path: Path) -> None:
    (tmp_path / "php-fpm8.2").touch()
    packages = {"php-fpm": f"{tmp_path}/php-fpm*", "wrk": f"{tmp_path}/wrk"}
    assert debian.missing(packages) == ["wrk"]


def test_without_root_the_line_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(debian.Missing, match="sudo apt-get install -y --no-install-recommends wrk"):
        debian.provide({"wrk": "/nowhere/wrk"}, "the bench")


def test_without_cargo_the_remedy_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(debian, "provide", lambda packages, who: None)
    monkeypatch.setattr(build, "search_path", lambda: str(tmp_path))
    assert setup.main() == 1
    assert "sh.rustup.rs" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("word", "asked"), [("--demo", ["building"]), ("--tests", ["building", "running the tests"])]
)
def test_the_demo_installs_no_programs_for_tests(
    word: str, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    provided: list[str] = []
    monkeypatch.setattr(debian, "provide", lambda packages, who: provided.append(who))
    for duty in ("_lacks_rust", "_make_environment", "_build_extension"):
        monkeypatch.setattr(setup, duty, list)
    monkeypatch.setattr("sys.argv", ["setup", word])
    assert setup.main() == 0
    assert provided == asked
