"""Know which tests, rows and commands exist, from the sources alone: nothing is run or imported."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

from bench.rows import ROWS
from tests.acceptance.page import Kind, Proof

ROOT = Path(__file__).parents[2]

_RUST_TEST = re.compile(
    r"#\[(?:tokio::)?test\b[^\]]*\]\s*(?:#\[[^\]]*\]\s*|//[^\n]*\n\s*)*(?:async )?fn (\w+)"
)


def exists(proof: Proof) -> bool:
    """Whether there is what a proof names."""
    if proof.kind is Kind.PYTEST:
        return _pytest_exists(proof)
    if proof.kind is Kind.CARGO:
        return proof.name in rust_tests(crate(proof.group))
    if proof.kind is Kind.BENCH:
        return not proof.name or proof.name in {row.name for row in ROWS}
    return True


def crate(name: str) -> Path:
    """Where a crate stands."""
    return ROOT / "fuzz" if name == "fuzz" else ROOT / "crates" / name


@cache
def rust_tests(folder: Path) -> frozenset[str]:
    """The names of all test functions below a folder."""
    sources = (
        path for path in folder.rglob("*.rs") if "target" not in path.relative_to(folder).parts
    )
    return frozenset(name for path in sources for name in _RUST_TEST.findall(path.read_text()))


@cache
def python_tests(file: Path) -> frozenset[str]:
    """The names of a file's tests, those in classes as `Class::name`."""
    found = set()
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}::{name}" for name in _tests(node.body)}
    return frozenset(found | set(_tests(ast.parse(file.read_text()).body)))


def _pytest_exists(proof: Proof) -> bool:
    file = ROOT / proof.group
    if not file.is_file():
        return False
    return not proof.name or proof.name in python_tests(file)


def _tests(body: list[ast.stmt]) -> list[str]:
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [
        node.name for node in body if isinstance(node, functions) and node.name.startswith("test")
    ]
