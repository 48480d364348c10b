"""Each rule of the house finds its offence and lets the innocent pass."""

from pathlib import Path

import pytest

from house.rules import (
    advisories,
    charters,
    crate_graph,
    engine_door,
    generated,
    licences,
    locked,
    rust_text,
    sizes,
)
from house.rules.__main__ import RULES, main
from tests.acceptance.names import ROOT


def write(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


class TestSizes:
    def test_a_long_file_needs_a_reason(self, tmp_path: Path) -> None:
        write(tmp_path, "src/a.py", "x = 1\n" * 701)
        write(tmp_path, "src/b.py", "# sizes: one table, read as one\n" + "x = 1\n" * 701)
        write(tmp_path, "src/c.py", "x = 1\n" * 700)
        assert sizes.offences(tmp_path) == ["src/a.py:1: 701 lines, at most 700"]

    @pytest.mark.parametrize("name", ["src/a.py", "crates/x/src/a.rs"])
    def test_a_long_function_needs_a_reason(self, tmp_path: Path, name: str) -> None:
        python = name.endswith(".py")
        body = "    x = 1\n" * 80 if python else "    let x = 1;\n" * 80
        heading = "def f():  # sizes: {}\n" if python else "fn f() {{ // sizes: {}\n"
        end = "" if python else "}\n"
        write(tmp_path, name, heading.format("") + body + end)
        assert len(sizes.offences(tmp_path)) == 1
        write(tmp_path, name, heading.format("a table") + body + end)
        assert sizes.offences(tmp_path) == []

    def test_five_arguments_of_one_type_need_a_type_of_their_own(self, tmp_path: Path) -> None:
        five = ", ".join(f"{name}: int" for name in "abcde")
        write(tmp_path, "src/a.py", f"class A:\n    def __init__(self, {five}): ...\n")
        write(tmp_path, "crates/x/src/a.rs", f"fn new({five.replace('int', 'u64')}) {{}}\n")
        assert [one.split(":")[0] for one in sizes.offences(tmp_path)] == [
            "src/a.py",
            "crates/x/src/a.rs",
        ]

    def test_inline_tests_and_braces_in_text_do_not_count(self) -> None:
        text = 'fn f() {\n  let a = "{{{"; // }\n}\n#[cfg(test)]\nmod tests { fn g() {} }\n'
        found = [(one.name, one.line, one.lines) for one in rust_text.functions(text)]
        assert found == [("f", 1, 3)]

    def test_lifetimes_and_generics_are_read(self) -> None:
        text = "fn f<'a>(x: &'a str, y: Map<u8, u8>) -> char { '}' }\n"
        assert [one.arguments for one in rust_text.functions(text)] == [("&'a str", "Map<u8, u8>")]


class TestCharters:
    @pytest.mark.parametrize("name", ["src/a.py", "crates/x/src/a.rs", "bench/a.c", "tests/a.py"])
    def test_a_module_without_words_is_an_offence(self, tmp_path: Path, name: str) -> None:
        write(tmp_path, name, "\n")
        assert len(charters.offences(tmp_path)) == 1

    def test_words_before_the_code_are_a_charter(self, tmp_path: Path) -> None:
        write(tmp_path, "src/a.py", '"""Decide how long a body is."""\n')
        write(tmp_path, "crates/x/src/a.rs", "//! Decide how long a body is.\n")
        write(tmp_path, "bench/a.c", "/* Decide how long a body is. */\n")
        assert charters.offences(tmp_path) == []


class TestCrateGraph:
    def crate(self, root: Path, name: str, dependencies: str, library: str) -> None:
        manifest = f'[package]\nname = "{name}"\n[dependencies]\n{dependencies}\n'
        write(root, f"crates/{name}/Cargo.toml", manifest)
        write(root, f"crates/{name}/src/lib.rs", library)
        write(root, f"crates/{name}/clippy.toml", "")

    def test_a_leaf_may_not_know_the_runtime(self, tmp_path: Path) -> None:
        self.crate(tmp_path, "evener-proto", 'tokio = "1"', "#![forbid(unsafe_code)]\n")
        assert "may not know tokio" in crate_graph.offences(tmp_path)[0]

    def test_an_edge_upwards_or_aside_is_an_offence(self, tmp_path: Path) -> None:
        self.crate(tmp_path, "evener-proto", "evener-stats = {}", "#![forbid(unsafe_code)]\n")
        assert "may not know evener-stats" in crate_graph.offences(tmp_path)[0]

    def test_unsafe_code_is_forbidden_in_words(self, tmp_path: Path) -> None:
        self.crate(tmp_path, "evener-balance", "evener-plan = {}", "#![deny(unsafe_code)]\n")
        assert "forbid(unsafe_code)" in crate_graph.offences(tmp_path)[0]

    def test_a_leaf_without_bans_is_an_offence(self, tmp_path: Path) -> None:
        self.crate(tmp_path, "evener-proto", "", "#![forbid(unsafe_code)]\n")
        assert crate_graph.offences(tmp_path) == []
        (tmp_path / "crates/evener-proto/clippy.toml").unlink()
        assert "clippy.toml" in crate_graph.offences(tmp_path)[0]

    def test_an_unknown_crate_is_an_offence(self, tmp_path: Path) -> None:
        self.crate(tmp_path, "evener-misc", "", "#![forbid(unsafe_code)]\n")
        assert "no crate of DESIGN.md" in crate_graph.offences(tmp_path)[0]


@pytest.mark.parametrize(
    "line",
    ["from evener import _engine", "import evener._engine", "from evener._engine import parse"],
)
def test_the_engine_has_three_doors(tmp_path: Path, line: str) -> None:
    write(tmp_path, "src/evener/dataplane.py", line)
    write(tmp_path, "src/evener/config/text.py", line)
    assert engine_door.offences(tmp_path) == []
    write(tmp_path, "src/evener/cli/run.py", line)
    assert engine_door.offences(tmp_path) == ["src/evener/cli/run.py:1: imports evener._engine"]


@pytest.mark.parametrize(
    ("expression", "good"),
    [
        ("MIT", True),
        ("MIT OR GPL-3.0-only", True),
        ("MIT AND GPL-3.0-only", False),
        ("(Apache-2.0 OR MIT) AND Unicode-3.0", True),
        ("Apache-2.0 WITH LLVM-exception", True),
        ("GPL-3.0-only WITH Classpath-exception-2.0", False),
        ("MIT/Apache-2.0", True),
        ("MIT License", True),
        ("GPL-3.0-only", False),
        ("", False),
    ],
)
def test_licences_are_read_as_expressions(expression: str, good: bool) -> None:
    assert licences.allowed(expression) is good


def test_a_locked_crate_below_its_fix_is_an_offence(tmp_path: Path) -> None:
    write(tmp_path, "SECURITY.md", "| `h2` | 0.4.16 | RUSTSEC |\n")
    write(tmp_path, "Cargo.lock", '[[package]]\nname = "h2"\nversion = "0.4.9"\n')
    assert advisories.offences(tmp_path) == ["Cargo.lock:1: h2 0.4.9 is below 0.4.16"]
    write(tmp_path, "Cargo.lock", '[[package]]\nname = "h2"\nversion = "0.4.16"\n')
    assert advisories.offences(tmp_path) == []
    write(tmp_path, "SECURITY.md", "no table")
    assert len(advisories.offences(tmp_path)) == 1


def test_a_package_that_is_not_locked_is_an_offence(tmp_path: Path) -> None:
    write(tmp_path, "pyproject.toml", '[project]\ndependencies = ["click>=8", "Some_thing"]\n')
    write(tmp_path, "requirements/dev.in", "# words\nmypy\n")
    write(tmp_path, "requirements/dev.txt", "click==8.5 \\\n    --hash=x\nmypy==2\n")
    assert locked.offences(tmp_path) == [
        "pyproject.toml:1: Some_thing is not in requirements/dev.txt: make lock"
    ]


def test_a_stale_generated_file_is_an_offence(tmp_path: Path) -> None:
    check = "import sys, pathlib\nwant = 'fresh'\nassert '--check' in sys.argv\n"
    check += "sys.exit(want not in pathlib.Path('page.md').read_text())\n"
    write(tmp_path, "make_page.py", check)
    heading = "<!-- Generated by `python3 make_page.py`; do not edit. -->\n"
    write(tmp_path, "page.md", heading + "fresh\n")
    assert generated.offences(tmp_path) == []
    write(tmp_path, "page.md", heading + "old\n")
    assert generated.offences(tmp_path)[0].startswith("page.md:1: stale")


def test_a_checkout_may_lie_anywhere(tmp_path: Path) -> None:
    for place in ("target", "dist"):
        write(tmp_path / place, "src/long.py", "x = 1\n" * 800)
        assert sizes.offences(tmp_path / place) != [], place


def test_all_that_is_generated_here_is_known_to_be() -> None:
    assert set(generated.commands(ROOT)) == {
        "python -m evener.config.reference",
        "python3 -m tests.conformance.http1.differential.page",
        "python3 -m tests.conformance.http1.page",
    }


def test_offences_end_the_run_with_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, "src/a.py", "")
    assert main(["charters", "sizes"], tmp_path) == 1
    assert "2 rules, 1 offences" in capsys.readouterr().out
    assert main(["sizes"], tmp_path) == 0


def test_every_rule_is_run() -> None:
    here = {path.stem for path in Path(crate_graph.__file__).parent.glob("*.py")}
    assert here - {"__init__", "__main__", "sources", "rust_text"} == set(RULES)
