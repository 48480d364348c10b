"""A policy's class is found and judged; what is wrong is said with what to do."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from evener.policies import PolicyError
from evener.policies.loading import load, version, words

GOOD = """
from evener.policies import Policy
class Mine(Policy):
    def pick(self, servers, request):
        return servers[0]
"""


def file(directory: Path, text: str, name: str = "mine.py") -> str:
    """Writes a policy; its reference."""
    path = directory / name
    path.write_text(text)
    return f"{path}:Mine"


def wrong(directory: Path, text: str) -> PolicyError:
    with pytest.raises(PolicyError) as caught:
        load(file(directory, text))
    return caught.value


def test_a_class_of_a_file_is_made(tmp_path: Path) -> None:
    assert type(load(file(tmp_path, GOOD))).__name__ == "Mine"


def test_an_edited_text_is_another_version_and_is_what_is_loaded(tmp_path: Path) -> None:
    mine = file(tmp_path, GOOD + "    word = 1\n")
    before = version(mine)
    assert version(mine) == before and vars(type(load(mine)))["word"] == 1
    # Of the same second and length: a cached form would be taken for this one.
    file(tmp_path, GOOD + "    word = 2\n")
    assert version(mine) != before and vars(type(load(mine)))["word"] == 2


def test_a_module_is_imported_as_others_see_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "__init__.py").write_text("")
    file(tmp_path / "pack", GOOD)
    monkeypatch.syspath_prepend(str(tmp_path))
    try:
        made = load("pack.mine:Mine")
        assert type(made).__module__ == "pack.mine"
        assert type(made) is sys.modules["pack.mine"].Mine
        assert len(version("pack.mine:Mine")) == 16
    finally:
        sys.modules.pop("pack.mine", None)
        sys.modules.pop("pack", None)


@pytest.mark.parametrize("name", ["nowhere:Mine", "nowhere.at.all:Mine", "math:Mine"])
def test_a_module_that_is_not_there_says_where_to_install_it(name: str) -> None:
    with pytest.raises(PolicyError) as caught:
        load(name)
    assert "no module" in caught.value.got and "/path/file.py:Class" in caught.value.hint


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(PolicyError) as caught:
        load(f"{tmp_path}/none.py:Mine")
    assert f"`{tmp_path}/none.py` cannot be read: No such file" in caught.value.got


@pytest.mark.parametrize(
    ("text", "got", "hint"),
    [
        ("import nothing_of_the_kind", "No module named", "install `nothing_of_the_kind`"),
        ("1 / 0", "mine.py:1", ""),
        ("def x(:", "SyntaxError", ""),
        (GOOD.replace("Mine", "Mime"), "no `Mine` in", "did you mean `Mime`?"),
        ("", "no `Mine` in", "class Mine(Policy): def pick(self, servers, request)"),
        ("class Mine: pass", "which is no Policy", "class Mine(Policy):"),
        ("Mine = 7", "which is no Policy", "class Mine(Policy):"),
        (GOOD.replace("pick", "choose"), "`Mine` without `pick`", ""),
        (GOOD.replace(", request", ""), "`Mine.pick`, which cannot be called so", ""),
        (GOOD.replace("def pick", "async def pick"), "gives a coroutine", "write `def`"),
        (GOOD + "    pick = 7\n", "`Mine.pick`, which is no method", ""),
        (GOOD + "    def ended(self, server): pass\n", "`Mine.ended`, which cannot", ""),
        (GOOD + "    def __init__(self, more): pass\n", "`Mine.__init__`", "read what it needs"),
        (GOOD + "    def __init__(self): raise SystemExit(3)\n", "`Mine()` fails: SystemExit", ""),
        (GOOD + "    headers = 'x-user'\n", "`headers` of `Mine`", 'headers = ["x-user"]'),
        (GOOD + "    headers = [7]\n", "`headers` of `Mine`", 'headers = ["x-user"]'),
    ],
)
def test_what_is_wrong_is_said_with_what_to_do(
    tmp_path: Path, text: str, got: str, hint: str
) -> None:
    error = wrong(tmp_path, text)
    assert got in error.got and error.expected
    assert hint in error.hint and bool(hint) == bool(error.hint), error.hint


def test_a_module_that_fails_leaves_the_one_before(tmp_path: Path) -> None:
    load(file(tmp_path, GOOD))
    before = sys.modules["evener_policy_mine"]
    wrong(tmp_path, "1 / 0")
    assert sys.modules["evener_policy_mine"] is before
    with pytest.raises(PolicyError):
        load(file(tmp_path, "1 / 0", "other.py"))
    assert "evener_policy_other" not in sys.modules


def test_an_exception_is_said_with_its_place() -> None:
    try:
        _ = dict[str, int]()["x"]
    except KeyError as error:
        assert words(error).startswith("KeyError: 'x' (") and "test_loading.py:" in words(error)
    assert words(ValueError()) == "ValueError"
