"""Each key of the language that holds a value is named by a test that proves its effect.

A test says so by `@pytest.mark.leaf("listeners.NAME.timeouts.head")`. Marks are read from the
sources, so that this holds whichever tests are run.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

from evener.config.explain import leaves

TESTS = Path(__file__).parents[1]
#: Keys whose effect only a person can see, each with what there is to be seen: three at most.
FOR_PEOPLE: dict[str, str] = {}


def marks(text: str) -> Iterator[str]:
    """The keys that tests of a file name."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.leaf":
            for argument in node.args:
                assert isinstance(argument, ast.Constant), ast.unparse(node)
                yield str(argument.value)


def marked() -> set[str]:
    return {key for path in TESTS.rglob("test_*.py") for key in marks(path.read_text())}


def test_every_leaf_has_a_test_that_proves_its_effect() -> None:
    assert sorted(set(leaves()) - marked() - FOR_PEOPLE.keys()) == []


def test_every_mark_is_a_leaf() -> None:
    assert sorted(marked() - set(leaves())) == []


def test_exceptions_are_few_have_a_reason_and_no_test() -> None:
    assert len(FOR_PEOPLE) <= 3
    assert all(FOR_PEOPLE.values())
    assert FOR_PEOPLE.keys() <= set(leaves()) - marked()


def test_marks_are_found_wherever_they_stand() -> None:
    text = (
        'import pytest\n@pytest.mark.leaf("a.b", "c")\ndef test_x(): ...\n'
        'CASES = [pytest.param(1, marks=pytest.mark.leaf("d"))]\n'
    )
    assert sorted(marks(text)) == ["a.b", "c", "d"]
