"""Silenced tools need their reason on the line, silenced tests are never let through."""

from pathlib import Path

import pytest

from house.rules.suppressions import offences


def found(tmp_path: Path, name: str, line: str) -> list[str]:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(line + "\n")
    return offences(tmp_path)


@pytest.mark.parametrize(
    "line",
    [
        "import x  # noqa",
        "import x  # noqa: F401",
        "x = y  # type: ignore",
        "x = y  # type: ignore[arg-type]",
        "if x:  # pragma: no cover",
        "@pytest.mark.skip",
        "@pytest.mark.xfail(reason='later')",
        "pytest.importorskip('x')",
        "# TODO write this",
    ],
)
def test_a_suppression_without_a_reason_is_an_offence(tmp_path: Path, line: str) -> None:
    assert len(found(tmp_path, "src/a.py", line)) == 1


@pytest.mark.parametrize(
    "line",
    [
        "import x  # noqa: F401  # its import registers the codec",
        "x = y  # type: ignore[arg-type]  # the stub lags behind",
        "if x:  # pragma: no cover  # only on other systems",
    ],
)
def test_a_reason_on_the_line_is_enough(tmp_path: Path, line: str) -> None:
    assert found(tmp_path, "src/a.py", line) == []


@pytest.mark.parametrize("line", ["#[allow(dead_code)]", "#![allow(clippy::all)]", "#[ignore]"])
def test_rust_is_held_to_the_same(tmp_path: Path, line: str) -> None:
    assert len(found(tmp_path, "crates/x/src/a.rs", line)) == 1


def test_rust_takes_its_own_form_of_a_reason(tmp_path: Path) -> None:
    line = '#[allow(clippy::too_many_lines, reason = "one table")]'
    assert found(tmp_path, "crates/x/src/a.rs", line) == []
