"""Files, functions and constructors stay small enough to be read (STYLE.md §1).

A longer one carries its reason: `sizes: REASON` in a comment on the line the function or
constructor begins, or for a file within its first 30 lines.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from house.rules import rust_text
from house.rules.sources import code, is_test

FILE_LINES = 700
FUNCTION_LINES = 80
ARGUMENTS_OF_A_KIND = 4
MAKERS = {"__init__", "new"}
HEADING = 30

_REASON = re.compile(r"(#|//|/\*|--)\s*sizes: \w")


def offences(root: Path) -> list[str]:
    """Everything too long without a reason."""
    found = []
    for path in code(root, ".py", ".rs", ".c", ".h", ".ts", ".svelte"):
        if is_test(path, root):
            continue
        text = path.read_text()
        where = path.relative_to(root)
        found += [f"{where}{what}" for what in _of_file(text, path.suffix)]
    return found


def _of_file(text: str, suffix: str) -> Iterator[str]:
    lines = text.splitlines()
    counted = rust_text.without_tests(text).count("\n") if suffix == ".rs" else len(lines)
    if counted > FILE_LINES and not any(_REASON.search(line) for line in lines[:HEADING]):
        yield f":1: {counted} lines, at most {FILE_LINES}"
    for name, line, length, arguments in _functions(text, suffix):
        if _REASON.search(lines[line - 1]):
            continue
        if length > FUNCTION_LINES:
            yield f":{line}: {name} has {length} lines, at most {FUNCTION_LINES}"
        if name in MAKERS and _most_of_a_kind(arguments) > ARGUMENTS_OF_A_KIND:
            yield f":{line}: {name} takes more than {ARGUMENTS_OF_A_KIND} arguments of one type"


def _most_of_a_kind(arguments: Iterable[str]) -> int:
    return max(Counter(arguments).values(), default=0)


def _functions(text: str, suffix: str) -> Iterator[tuple[str, int, int, tuple[str, ...]]]:
    if suffix == ".py":
        yield from _python_functions(text)
    if suffix == ".rs":
        for function in rust_text.functions(text):
            yield function.name, function.line, function.lines, function.arguments


def _python_functions(text: str) -> Iterator[tuple[str, int, int, tuple[str, ...]]]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            end = node.end_lineno or node.lineno
            every = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            types = tuple(ast.unparse(one.annotation) for one in every if one.annotation)
            yield node.name, node.lineno, end - node.lineno + 1, types
