"""Python meets the extension at four doors only: `dataplane.py`, `worker.py`, `config/text.py` and
the laboratory's `lab/engine.py`.
"""

from __future__ import annotations

import ast
from pathlib import Path

DOORS = {"dataplane.py", "worker.py", "config/text.py", "lab/engine.py"}
ENGINE = "_engine"


def offences(root: Path) -> list[str]:
    """Modules that import `evener._engine` and are no door."""
    package = root / "src" / "evener"
    found = []
    for path in sorted(package.rglob("*.py")):
        if str(path.relative_to(package)) in DOORS:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import | ast.ImportFrom) and _imports_engine(node):
                found.append(f"{path.relative_to(root)}:{node.lineno}: imports evener._engine")
    return found


def _imports_engine(node: ast.Import | ast.ImportFrom) -> bool:
    names = [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        names.append(node.module or "")
    return any(ENGINE in name.split(".") for name in names)
