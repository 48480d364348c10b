"""What the pages say holds: configurations are right, links lead somewhere, lists agree."""

import re
from pathlib import Path

import pytest

import evener
from evener.cli.app import COMMANDS
from evener.config import Config
from evener.config.explain import explain

ROOT = Path(__file__).parents[2]
GENERATED = ROOT / "docs" / "reference"
PAGES = sorted(
    page
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/*/*.md")]
    if GENERATED not in page.parents
)
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
BLOCKS = [
    pytest.param(block, id=f"{name}-{number}")
    for page, name in zip(PAGES, NAMES, strict=True)
    for number, block in enumerate(re.findall(r"(?ms)^```yaml\n(.*?)^```", page.read_text()))
]


@pytest.mark.parametrize("block", BLOCKS)
def test_a_configuration_that_is_shown_is_right(block: str) -> None:
    Config.parse(block).check()


def test_configurations_were_found() -> None:
    assert len(BLOCKS) > 10


def test_the_first_screen_says_the_same_in_yaml_and_in_python(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = (ROOT / "README.md").read_text()
    [python] = re.findall(r"(?ms)^```python\n(.*?)^```", text)
    assert len(python.strip().splitlines()) <= 5
    ran: list[Config] = []
    monkeypatch.setattr(evener, "run", ran.append, raising=False)
    exec(compile(python, "README.md", "exec"), {})
    [built] = ran
    [yaml] = re.findall(r"(?ms)^```yaml\n(.*?)^```", text)
    assert built.resolved() == Config.parse(yaml).resolved()
    first = text.splitlines()[:40]
    assert {"```yaml", "```python"} <= set(first)


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)", page.read_text())
    local = [target for target in targets if "://" not in target]
    assert [target for target in local if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_commands_that_are_shown_exist(page: Path) -> None:
    shown = set(re.findall(r"(?m)(?:^ {4}(?:sudo |\$ )?|`|&& )evener ([a-z]+)", page.read_text()))
    unbuilt = {"upgrade"} if page.name in ("limitations.md", "control-protocol.md") else set()
    assert shown - set(COMMANDS) - unbuilt == set()


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_files_that_are_named_are_there(page: Path) -> None:
    named = re.findall(r"(?:examples|docs|house|crates)/[\w./-]*\w", page.read_text())
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_keys_that_a_page_explains_exist() -> None:
    asked = {
        key
        for page in PAGES
        for key in re.findall(r"evener explain ([a-zA-Z_.]+[a-z])\b", page.read_text())
    }
    assert asked
    for key in asked:
        explain(key)


def test_metrics_that_a_page_names_are_counted() -> None:
    golden = ROOT / "crates" / "evener-stats" / "tests" / "golden" / "page.txt"
    counted = set(re.findall(r"(?m)^# TYPE (\w+) ", golden.read_text()))
    named = {
        re.sub(r"_(bucket|sum|count)$", "", name)
        for page in PAGES
        for name in re.findall(r"\bevener_[a-z_]*[a-z]\b(?!_)", page.read_text())
    }
    assert named
    assert {name for name in named if name not in counted} == set()


def test_the_architecture_is_short_and_lists_at_most_ten_steps_that_exist() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    assert len(text.splitlines()) <= 150
    block = re.search(r"(?s)## One request.*?```\n(.*?)```", text)
    assert block is not None
    steps = [line.split()[:2] for line in block[1].splitlines()]
    assert 1 <= len(steps) <= 10
    engine = ROOT / "crates" / "evener-engine" / "src"
    marked = {
        name
        for source in engine.rglob("*.rs")
        for name in re.findall(r'\bstep\("([\w:]+)"\)', source.read_text())
    }
    assert {name for name, _ in steps} == marked
    for name, file in steps:
        here = engine / file if (engine / file).exists() else ROOT / "crates" / file
        assert re.search(rf"\bfn {name.split('::')[1]}\b", here.read_text()), (name, file)
